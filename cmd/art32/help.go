package main

import (
	"flag"
	"fmt"
	"strings"
)

func overview() string {
	var b strings.Builder
	b.WriteString("art32 prepares, migrates, verifies and backs up the databases of art32, rotates their\nkeys, and tells of incidents.\n\nusage: art32 VERB [flags]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-17s %s\n", v.name, v.brief)
	}
	b.WriteString(`
art32 VERB -h explains a verb. Exit code 0: all is well; 1: something was found
or could not be done; 2: wrong usage. A DSN on the command line can be seen by
other users of the machine; the environment hides it.
`)
	return b.String()
}

// help is the text of art32 VERB -h; docs/cli.md holds it too.
func (v verb) help() string {
	fs, _ := v.flags()
	fs.Bool("json", false, "print one JSON value instead of text")
	var b strings.Builder
	fmt.Fprintf(&b, "usage: art32 %s [flags]\n\n%s.\n\nNeeds: %s.\n", v.name, sentence(v.brief), v.login)
	if v.more != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(v.more))
	}
	b.WriteString("\nflags:\n")
	fs.VisitAll(func(f *flag.Flag) {
		name, text := flag.UnquoteUsage(f)
		head := strings.TrimSpace("--" + f.Name + " " + value(f, name))
		fmt.Fprintf(&b, "  %s\n        %s\n", head, strings.ReplaceAll(text, "\n", "\n        "))
	})
	return b.String()
}

// value names the argument of a flag; a switch has none.
func value(f *flag.Flag, name string) string {
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return ""
	}
	return name
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
