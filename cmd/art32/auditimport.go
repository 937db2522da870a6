package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditImportVerb() verb {
	return verb{
		name:  "audit import",
		brief: "add the lines that pgaudit or sshd logged to the platform's log",
		login: needsKeys,
		more: `Each line becomes an event import.SOURCE, with the line in its encrypted payload, and
is sealed with the rest. Lines of other programs are left out. A file that is imported
again, also one that has grown, adds what is new; it should be whole from its beginning
on. The log vouches for what was read, and when: whoever may write the file can write
what he likes into it. Lines over 8 KiB are cut.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			i := &importCall{}
			i.flags(fs)
			fs.StringVar(&i.source, "source", "", "what the lines are of: `pgaudit` (csvlog or stderr) or sshd (syslog, journalctl -o short); required")
			fs.StringVar(&i.file, "file", "", "the `FILE` with the lines, or - for the standard input; required")
			return i.run
		},
	}
}

// importCall is one call of the verb.
type importCall struct {
	keyed

	source, file string
}

// importValue is what is printed.
type importValue struct {
	Lines    int `json:"lines"`
	Imported int `json:"imported"`
	Known    int `json:"known"`
	Other    int `json:"other"`
	Cut      int `json:"cut"`
}

func (i *importCall) run(ctx context.Context, out *output) (err error) {
	if err := i.resolve(); err != nil {
		return err
	}
	source := audit.Source(i.source)
	switch {
	case source != audit.PGAudit && source != audit.SSHD:
		return usagef("--source is pgaudit or sshd")
	case i.file == "":
		return usagef("--file FILE is required")
	}
	in := io.NopCloser(os.Stdin)
	if i.file != "-" {
		if in, err = os.Open(i.file); err != nil {
			return err
		}
	}
	o, err := i.open(ctx)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	defer func() { err = errors.Join(err, in.Close(), o.close()) }()
	r, err := o.recorder.Import(tenancy.WithActor(ctx, self), source, in)
	out.textf("%d lines: %d imported (import.%s), %d known, %d of other programs; %d were cut", r.Lines, r.Imported, source, r.Known, r.Other, r.Cut)
	return errors.Join(err, out.value(importValue(r)))
}
