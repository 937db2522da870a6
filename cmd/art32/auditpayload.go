package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func auditPayloadVerb() verb {
	return verb{
		name:  "audit payload",
		brief: "write the sealed entries of one audit log with their payloads, in clear, for those who may see them",
		login: "the library login (--dsn), the app login (--app-dsn) and the root key, or write access to the directory (--data)",
		more: `The file holds personal data, and no erasure reaches it. That the export was made,
and why, is entered into the same log before the first byte. JSON lines are exact
(docs/formats/audit-jsonl.md); CSV is for people and spreadsheets, and holds no
formulas. It prints where it ended: --from goes on there.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			p := &payloads{}
			p.flags(fs)
			fs.StringVar(&p.tenant, "tenant", "", "whose log: the `ID` of a tenant, or the word platform; required")
			fs.StringVar(&p.format, "format", "jsonl", "`jsonl` or csv")
			fs.Int64Var(&p.from, "from", 0, "where an earlier export ended, as a `NUMBER`; default: the beginning")
			fs.StringVar(&p.out, "out", "", "the `FILE` that is made, with mode 0600; none may have the name; required")
			fs.StringVar(&p.reason, "reason", "", "why, as a `TEXT` for the log, where it is encrypted; required")
			return p.run
		},
	}
}

// payloads is one call of the verb.
type payloads struct {
	keyed

	tenant string
	format string
	from   int64
	out    string
	reason string
}

func (p *payloads) run(ctx context.Context, out *output) (err error) {
	if err := p.resolve(); err != nil {
		return err
	}
	of, err := oneTenant(p.tenant)
	switch {
	case err != nil:
		return err
	case of == nil || p.out == "" || p.reason == "":
		return usagef("--tenant, --out and --reason are required")
	case p.format != "jsonl" && p.format != "csv":
		return usagef("--format is jsonl or csv")
	case p.from < 0:
		return usagef("--from must not be negative")
	}
	o, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	next, err := p.write(ctx, o, of[0])
	if err != nil {
		return err
	}
	out.textf("%s: entries %d to before %d of %s", p.out, p.from, next, nameOf(of[0]))
	return out.value(struct {
		File string `json:"file"`
		From int64  `json:"from"`
		Next int64  `json:"next"`
	}{p.out, p.from, next})
}

// write makes the file, and removes it where it is not whole.
func (p *payloads) write(ctx context.Context, o *opened, of tenancy.ID) (next int64, err error) {
	f, err := os.OpenFile(p.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("--out: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(p.out))
		}
	}()
	ctx = tenancy.WithReason(tenancy.WithActor(ctx, self), p.reason)
	filter := audit.Filter{Platform: of.IsZero()}
	if !of.IsZero() {
		ctx = tenancy.WithTenant(ctx, of)
	}
	w := bufio.NewWriter(f)
	write := o.log.WriteJSONL
	if p.format == "csv" {
		write = o.log.WriteCSV
	}
	if next, err = write(ctx, o.db, w, filter, p.from); err == nil {
		err = errors.Join(w.Flush(), f.Sync())
	}
	return next, err
}
