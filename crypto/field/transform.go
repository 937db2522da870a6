package field

import (
	"fmt"
	"strconv"
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
	// Digits keeps the ASCII digits after NFKC: phone numbers, account numbers. A
	// text without any, such as "n/a" or digits of other scripts, has no index
	// value, as NULL has none; see [Index.Sum].
	Digits Transform = "digits"
)

// MaxPrefix is the longest prefix that a transform keeps, in characters.
const MaxPrefix = 64

const prefixName = "prefix:"

// Prefix is Casefold cut to the first n characters (code points), 1 to
// [MaxPrefix], "prefix:4" in a struct tag: it finds the texts that begin alike,
// by any text with that beginning. A search for fewer than n characters finds
// texts of that length alone.
//
// It shows more than an index of whole texts. Whoever reads the table sees which
// rows may begin alike, and beginnings are few and of very unequal frequency:
// with a list of names, the largest groups can be told, and by n and the sizes of
// groups much of the rest. The rule of [Width] counts on texts that differ, so
// that the width does not make up for it. Keep n small where the rows are few,
// and have no second index on the same text.
func Prefix(n int) (Transform, error) { return ParseTransform(prefixName + strconv.Itoa(n)) }

// ParseTransform reads the name of a transform as it stands in a struct tag.
func ParseTransform(s string) (Transform, error) {
	t := Transform(s)
	switch t {
	case Exact, Casefold, Email, Digits:
		return t, nil
	}
	if t.prefix() > 0 {
		return t, nil
	}
	return "", fmt.Errorf("field: unknown transform %q: exact, casefold, email, digits, or prefix:N with N from 1 to %d", s, MaxPrefix)
}

// prefix is the number of characters that a prefix keeps; 0 for what is none.
// It has one spelling, since the name is part of the index.
func (t Transform) prefix() int {
	digits, ok := strings.CutPrefix(string(t), prefixName)
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > MaxPrefix || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

// Apply returns the transformed text; an unknown transform changes nothing.
func (t Transform) Apply(text string) string {
	switch t {
	case Casefold, Email:
		return foldText(text)
	case Digits:
		return keepDigits(text)
	case Exact:
		return text
	}
	if n := t.prefix(); n > 0 {
		return cut(foldText(text), n)
	}
	return text
}

// cut keeps the first n code points, without white space at the new end.
func cut(text string, n int) string {
	for i := range text {
		if n == 0 {
			return strings.TrimSpace(text[:i])
		}
		n--
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
