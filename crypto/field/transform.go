package field

import (
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Transform is what is done to a text before it is hashed for a blind index,
// so that spellings of the same thing meet. The name is part of the index: two
// transforms never give the same values.
type Transform string

const (
	// Exact changes nothing.
	Exact Transform = "exact"
	// Casefold trims white space, brings compatible characters to one form (NFKC)
	// and letters to one case, by Unicode's simple folding: ß and ẞ meet, ß and
	// ss do not.
	Casefold Transform = "casefold"
	// Email is Casefold for the whole address: the local part too, although RFC
	// 5321 allows it to tell cases apart, since no one's mail does. Dots, tags
	// after a plus and Punycode domains are left as they are.
	Email Transform = "email"
	// Digits keeps the ASCII digits after NFKC: phone numbers, account numbers.
	Digits Transform = "digits"
)

// ParseTransform reads the name of a transform as it stands in a struct tag.
func ParseTransform(s string) (Transform, error) {
	switch t := Transform(s); t {
	case Exact, Casefold, Email, Digits:
		return t, nil
	}
	return "", fmt.Errorf("field: unknown transform %q: exact, casefold, email or digits", s)
}

// Apply returns the transformed text; an unknown transform changes nothing.
func (t Transform) Apply(text string) string {
	switch t {
	case Casefold, Email:
		return foldText(text)
	case Digits:
		return keepDigits(text)
	case Exact:
	}
	return text
}

// foldText folds twice, as Unicode's NFKC_Casefold does: a fold can make room
// for a composition, and that for a fold. It trims last, since NFKC turns other
// spaces into plain ones.
func foldText(text string) string {
	for range 2 {
		text = norm.NFKC.String(strings.Map(foldRune, norm.NFKC.String(text)))
	}
	return strings.TrimSpace(text)
}

// foldRune returns the smallest of the runes that differ only by case.
func foldRune(r rune) rune {
	if r <= unicode.MaxASCII {
		return unicode.ToLower(r)
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if least <= unicode.MaxASCII {
		return unicode.ToLower(least)
	}
	return least
}

func keepDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, norm.NFKC.String(text))
}
