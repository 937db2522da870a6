package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"

	"github.com/art32/art32/backup"
)

func backupReplayVerb() verb {
	return verb{
		name:  "backup replay",
		brief: "repeat the erasures that a restore by hand has undone",
		login: needsKeys + ", and the vault",
		more: `Art. 17 GDPR: a copy must not bring back who was erased. backup restore does this by
itself; after a restore by hand it is the last step, before anybody uses the
database. It erases again whoever of the restored people the ledger of erasures
names, and it can be repeated. It refuses a ledger that lacks what a run saw that the
vault tells of, or that holds what this system did not write. doctor shows whether
any is missing.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &backupReplay{}
			r.flags(fs)
			fs.StringVar(&r.keystore, "keystore", "", "SQLite: the `DIR` of keystore.db; default: that of the data")
			fs.Var(&r.vault, "vault", "a `DIR` of the vault, with the ledger of erasures; required; may be repeated")
			fs.StringVar(&r.reason, "reason", "", "why, as a `TEXT` for the platform's log, where it is encrypted; required")
			return r.run
		},
	}
}

// backupReplay is one call of the verb.
type backupReplay struct {
	keyed

	vault  values
	reason string
}

func (r *backupReplay) run(ctx context.Context, out *output) (err error) {
	if err := r.resolve(); err != nil {
		return err
	}
	switch {
	case len(r.vault) == 0 || r.reason == "":
		return usagef("--vault DIR and --reason TEXT are required")
	case r.data == "" && r.keystore != "":
		return usagef("--keystore belongs to --data")
	}
	o, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	n, err := r.replay(acting(ctx, r.reason), o)
	if err != nil {
		return err
	}
	out.textf("erasures repeated: %d", n)
	return out.value(struct {
		OK       bool `json:"ok"`
		Repeated int  `json:"repeated"`
	}{true, n})
}

// replay records what it is about to do: without an entry it does nothing.
func (r *backupReplay) replay(ctx context.Context, o *opened) (int, error) {
	n, err := backup.Missed(ctx, o.db, o.keys, o.store, r.vault...)
	if err != nil || n == 0 {
		return 0, err
	}
	if err := o.recorder.Record(ctx, "backup.replay", slog.Int("missed", n)); err != nil {
		return 0, err
	}
	return backup.Replay(ctx, o.db, o.keys, o.store, r.vault...)
}
