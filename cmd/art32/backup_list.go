package main

import (
	"context"
	"errors"
	"flag"
	"time"

	"github.com/art32/art32/backup"
)

func backupListVerb() verb {
	return verb{
		name:  "backup list",
		brief: "list the runs of a target: committed ones by age, and the remains of incomplete ones",
		login: "read access to the target. No key",
		more:  `It looks at signatures, not at the parts: backup verify does.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			l := &backupList{}
			l.flags(fs)
			return l.run
		},
	}
}

// backupList is one call of the verb.
type backupList struct{ place }

// listed is a run as it is printed.
type listed struct {
	Run       string    `json:"run"`
	Committed bool      `json:"committed"`
	Number    int64     `json:"number,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Engine    string    `json:"engine,omitzero"`
	Parts     int       `json:"parts,omitzero"`
	Bytes     int64     `json:"bytes,omitzero"`
	Signer    string    `json:"signer,omitzero"`
	Why       string    `json:"why,omitzero"` // it does not count
}

func (l *backupList) run(ctx context.Context, out *output) (err error) {
	target, err := l.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	runs, err := backup.List(ctx, target)
	if err != nil {
		return err
	}
	all := []listed{}
	for _, r := range runs {
		all = append(all, listing(r))
		all[len(all)-1].print(out)
	}
	if len(all) == 0 {
		out.textf("no run")
	}
	return out.value(struct {
		Runs []listed `json:"runs"`
	}{all})
}

func listing(r backup.Run) listed {
	m := r.Manifest
	if m == nil {
		return listed{Run: r.Name, Why: r.Err.Error()}
	}
	return listed{
		Run: m.Run, Committed: true, Number: m.Number, Ended: m.Ended, Engine: m.Engine,
		Parts: len(m.Parts), Bytes: bytesOf(m), Signer: m.Signer,
	}
}

func (l listed) print(out *output) {
	if !l.Committed {
		out.textf("incomplete  %s  %s", l.Run, l.Why)
		return
	}
	out.textf("committed   %s  number %d, %s, %s, %d parts, %s, %s", l.Run, l.Number, old(time.Since(l.Ended)), l.Engine, l.Parts, size(l.Bytes), l.Signer)
}
