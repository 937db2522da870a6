package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// The exit codes.
const (
	exitOK       = 0
	exitFindings = 1 // something is wrong, or could not be done
	exitUsage    = 2
)

// verb is one thing that the command can do.
type verb struct {
	name  string // "audit verify"
	brief string // one line
	login string // which role it needs
	more  string // further paragraphs of the help, or ""
	// setup declares the flags and returns what to run once they are parsed.
	setup func(*flag.FlagSet) func(context.Context, *output) error
}

// verbs lists all, in the order in which a person meets them.
func verbs() []verb {
	return []verb{
		initVerb(), migrateVerb(), doctorVerb(), adoptPlanVerb(), scaffoldVerb(),
		auditVerifyVerb(), auditExportVerb(), auditProveVerb(), auditPayloadVerb(), auditPublishVerb(),
		auditRenewVerb(), auditRetainVerb(), auditHoldVerb(), auditReleaseVerb(), auditCoverageVerb(), auditImportVerb(),
		backupRunVerb(), backupListVerb(), backupVerifyVerb(), backupRestoreVerb(), backupReplayVerb(),
		keysStatusVerb(), keysRotateVerb(), keysResealVerb(), keysDestroyVerb(), keysCopyVerb(), keysRestoreVerb(),
		sealRotateVerb(),
		erasureRecordVerb(), erasureVerifyVerb(), erasureTenantVerb(),
		incidentOpenVerb(), incidentStatusVerb(), incidentNotifyVerb(), incidentContactVerb(), incidentCloseVerb(),
	}
}

// usageError is a call that makes no sense as it stands.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errFindings ends a verb that has printed what is wrong.
var errFindings = errors.New("findings")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		_, _ = io.WriteString(stderr, overview())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, _ = io.WriteString(stdout, overview())
		return exitOK
	}
	v, rest, ok := find(args)
	if !ok {
		fmt.Fprintf(stderr, "art32: %s; `art32 help` lists the verbs\n", unknown(args))
		return exitUsage
	}
	err := v.run(ctx, rest, stdout)
	if err != nil && !errors.Is(err, errFindings) {
		fmt.Fprintf(stderr, "art32 %s: %s\n", v.name, visible(hide(err.Error(), rest)))
	}
	return exitCode(err)
}

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if err != nil {
		return exitFindings
	}
	return exitOK
}

// find picks the verb whose words args begins with.
func find(args []string) (v verb, rest []string, ok bool) {
	for _, v := range verbs() {
		words := strings.Fields(v.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return v, args[len(words):], true
		}
	}
	return verb{}, nil, false
}

var plainWord = regexp.MustCompile(`^[a-z]{1,20}$`)

// unknown quotes what was typed only where it cannot be a DSN.
func unknown(args []string) string {
	words := args[:min(len(args), 2)]
	for i, w := range words {
		if !plainWord.MatchString(w) {
			words = words[:i]
			break
		}
	}
	if len(words) == 0 {
		return "no such verb"
	}
	return fmt.Sprintf("no verb %q", strings.Join(words, " "))
}

var (
	plainFlag = regexp.MustCompile(`^[a-z][a-z-]{0,19}$`)
	flagName  = regexp.MustCompile(`(?s)^(invalid (?:boolean )?value|flag needs an argument).*[: ]-([a-z-]+)(?:: [^:"]*)?$`)
)

// wrongFlag says what is wrong with the flags after n arguments. A value is never
// quoted, nor what stands in the place of a flag unless it looks like one: it may
// be a DSN or a key.
func wrongFlag(fs *flag.FlagSet, err error, n int) string {
	text := err.Error()
	if m := flagName.FindStringSubmatch(text); m != nil && fs.Lookup(m[2]) != nil {
		return m[1] + ": -" + m[2]
	}
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok && plainFlag.MatchString(name) {
		return text
	}
	if strings.HasPrefix(text, "bad flag syntax") {
		n++ // which is left in place
	}
	return fmt.Sprintf("argument %d is no flag", n)
}

func (v verb) flags() (*flag.FlagSet, func(context.Context, *output) error) {
	fs := flag.NewFlagSet(v.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs, v.setup(fs)
}

func (v verb) run(ctx context.Context, args []string, stdout io.Writer) error {
	fs, do := v.flags()
	out := &output{w: stdout}
	fs.BoolVar(&out.json, "json", false, "print one JSON value instead of text")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(stdout, v.help())
		return err
	case err != nil:
		return usagef("%s; see art32 %s -h", wrongFlag(fs, err, len(args)-fs.NArg()), v.name)
	case fs.NArg() > 0: // not quoted: it may be a DSN
		return usagef("takes flags only, and argument %d is none; see art32 %s -h", len(args)-fs.NArg()+1, v.name)
	}
	return do(ctx, out)
}
