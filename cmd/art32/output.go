package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
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

// hide takes the passwords of the DSNs in args out of a text. No error should
// hold one; this is the net below.
func hide(text string, args []string) string {
	if p := os.Getenv(envSMTPPassword); p != "" {
		text = strings.ReplaceAll(text, p, "…")
	}
	for _, arg := range append(args, envDSNs()...) {
		if _, dsn, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "-") {
			arg = dsn
		}
		for _, p := range passwords(arg) {
			text = strings.ReplaceAll(text, p, "…")
		}
	}
	return text
}

// passwords lists the spellings in which the password of a DSN may show.
func passwords(dsn string) []string {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil
	}
	var all []string
	if p, ok := u.User.Password(); ok && p != "" {
		all = append(all, p, url.QueryEscape(p), url.PathEscape(p))
	}
	if p := u.Query().Get("password"); p != "" {
		all = append(all, p, url.QueryEscape(p))
	}
	return all
}
