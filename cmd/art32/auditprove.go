package main

import (
	"context"
	"errors"
	"flag"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
)

func auditProveVerb() verb {
	return verb{
		name:  "audit prove",
		brief: "print the proof that an entry lies in an exported audit log (c2sp.org/tlog-proof)",
		login: "an audit export. No database, no key and no secret",
		more: `The proof holds the entry, which names nobody, and the signed checkpoint. Whoever
gets it checks it with audit verify --proof and the log's public key, log.vkey of the
folder that the entry lies in.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			p := &proving{}
			fs.StringVar(&p.export, "export", "", "the `DIR` that audit export has made for the platform or one tenant")
			fs.StringVar(&p.event, "event", "", "the entry, by the `ID` of its event")
			fs.Int64Var(&p.index, "index", -1, "the entry, by its `NUMBER` over all logs of the tenant, from 0")
			return p.run
		},
	}
}

// proving is one call of the verb.
type proving struct {
	export string
	event  string
	index  int64
}

func (p *proving) run(ctx context.Context, out *output) error {
	if p.export == "" || (p.event == "") == (p.index < 0) {
		return usagef("--export DIR and either --event ID or --index NUMBER are required")
	}
	if !isExport(p.export) {
		return usagef("--export: %s is not the export of the platform or of one tenant", p.export)
	}
	number := p.index
	if p.event != "" {
		id, err := uuid.Parse(p.event)
		if err != nil || len(p.event) != 36 {
			return usagef("--event is no UUID of 36 characters")
		}
		if number, err = audit.FindExported(ctx, p.export, id); err != nil {
			return noEntry(err)
		}
	}
	proof, err := audit.ProveExported(p.export, number)
	if err != nil {
		return noEntry(err)
	}
	if out.json {
		return out.value(struct {
			Number int64  `json:"number"`
			Proof  string `json:"proof"`
		}{number, string(proof)})
	}
	_, err = out.w.Write(proof)
	return err
}

// noEntry says what may help.
func noEntry(err error) error {
	if errors.Is(err, audit.ErrNoEntry) {
		return errors.New("the export holds no such entry: it may be sealed later than it was exported, or lie in a log that was dropped")
	}
	return err
}
