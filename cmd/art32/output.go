package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// output prints either text for people or one JSON value for machines.
type output struct {
	w    io.Writer
	json bool
}

// textf prints a line for people.
func (o *output) textf(format string, args ...any) {
	if !o.json {
		fmt.Fprintln(o.w, visible(fmt.Sprintf(format, args...)))
	}
}

// visible spells out what would act on a terminal and not show: data of others
// stand in what is printed.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// line is a text of others on one line.
func line(text string) string {
	if strings.ContainsAny(text, "\n\t") {
		return strconv.Quote(text)
	}
	return visible(text)
}

// value prints v for machines.
func (o *output) value(v any) error {
	if !o.json {
		return nil
	}
	enc := json.NewEncoder(o.w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// hide takes secrets out of a text: the passwords of whatever DSNs stand in args,
// wherever among them, and what looks like a secret by itself. No error should
// hold one; this is the net below.
func hide(text string, args []string) string {
	if p := os.Getenv(envSMTPPassword); p != "" {
		text = strings.ReplaceAll(text, p, "…")
	}
	for _, arg := range append(slices.Clone(args), envDSNs()...) {
		for _, p := range passwords(arg) {
			text = strings.ReplaceAll(text, p, "…")
		}
	}
	text = secretWord.ReplaceAllString(text, "…")
	return passwordWord.ReplaceAllString(text, "$1=…")
}

var (
	// secretWord is an identity of age, or the key of a root key file.
	secretWord = regexp.MustCompile(`(?i:AGE-SECRET-KEY-)[^\s"']*|[A-Za-z0-9+/]{43}=`)
	// passwordWord is one of a DSN of words, or a parameter of a URL.
	passwordWord = regexp.MustCompile(`(?i)\b((?:ssl)?password)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&'"]+)`)
	// userPassword is that of a URL, also of one that is none to url.Parse.
	userPassword = regexp.MustCompile(`^(?:.*?://)?[^/:@]*:([^@]*(?:@[^@/]*)*)@`)
	// coloned is a password behind a colon that was escaped by mistake.
	coloned = regexp.MustCompile(`(?i)^(?:.*?://)?[^/:@]*%3A([^@/]+)@`)
)

// passwords lists the spellings in which the passwords of a DSN may show. It need
// not be whole, nor stand alone: "-postgres://…", "--dsn=host=h password=…".
func passwords(arg string) (all []string) {
	if m := userPassword.FindStringSubmatch(arg); m != nil {
		all = spellings(all, m[1])
	}
	if m := coloned.FindStringSubmatch(arg); m != nil { // its colon is part of the name
		all = spellings(all, m[1])
	}
	for _, m := range passwordWord.FindAllStringSubmatch(arg, -1) {
		all = spellings(all, strings.Trim(m[2], "'"))
	}
	return all
}

// spellings adds a password as it was typed, as it is meant, and as others write
// it, the longest first.
func spellings(all []string, typed string) []string {
	words := []string{typed}
	for _, unescape := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
		if p, err := unescape(typed); err == nil {
			words = append(words, p, url.QueryEscape(p), url.PathEscape(p))
		}
	}
	for _, w := range words {
		if w != "" && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}
