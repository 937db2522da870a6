package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/art32/art32/crypto/keyring"
)

func keysCopyVerb() verb {
	return verb{
		name:  "keys copy",
		brief: "keep a copy of the keystore for a short time, apart from every copy of the data",
		login: needsKeys,
		more: `It writes a copy into the folder --dir, reads it back, and deletes the copies there whose
life is over; the newest always stays. Call it daily. Keys are in it as the root key has
wrapped them: whoever has both has all of them, also those of people who are erased
later. So nothing else may copy the folder, and erasure records must declare it: give
art32 erasure record --copy "copies of the keystore=14d". Backups of art32 hold copies of
their own; this one is for a keystore that was lost alone. keys restore reads it.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			c := &keysCopy{}
			c.flags(fs)
			fs.StringVar(&c.dir, "dir", "", "the `DIR` of the copies, made with mode 0700 where there is none; required")
			fs.StringVar(&c.life, "life", "14d", "how long a copy is kept, a `LIFE` such as 36h or 14d; default: 14d")
			return c.run
		},
	}
}

// keysCopy is one call of the verb.
type keysCopy struct {
	keyVerb

	dir, life string
}

func (c *keysCopy) run(ctx context.Context, out *output) (err error) {
	life, err := parseLife(c.life)
	switch {
	case c.dir == "":
		return usagef("--dir DIR is required")
	case err != nil || life == 0:
		return usagef("--life is no time such as 36h or 14d")
	}
	if err := c.resolve(); err != nil {
		return err
	}
	o, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ctx = acting(ctx, "")
	if err := o.recorder.Record(ctx, "keys.copy", slog.String("life", life.String())); err != nil {
		return err
	}
	kept, err := o.keys.KeepCopy(ctx, c.dir, &keyring.KeepOptions{Life: life})
	for _, f := range kept.Deleted {
		out.textf("deleted %s, whose life is over", f.Path)
	}
	if err != nil {
		return err
	}
	out.textf("%s: %d versions of keys; declare it in erasure records until %s", kept.Path, kept.Contents.Records,
		kept.At.Add(life).Format(time.RFC3339))
	return out.value(struct {
		Path    string    `json:"path"`
		Records int64     `json:"records"`
		Until   time.Time `json:"until"` // its life is over then
		Deleted int       `json:"deleted"`
	}{kept.Path, kept.Contents.Records, kept.At.Add(life), len(kept.Deleted)})
}

func keysRestoreVerb() verb {
	return verb{
		name:  "keys restore",
		brief: "read a copy of the keystore into a keystore that was lost or lacks keys",
		login: "the library login (--dsn) or write access to the directory (--keystore), and the root key",
		more: `Stop the application first. The copy is read whole before anything is written. States
only move forward: what the keystore holds stays, and erased keys stay erased, or
become so if the copy says it. Of several copies restore the newest alone. Where
keystore.db was lost, name a new folder with --keystore and move the file from there
to its place. No event is left, since without keys there is no log. The application,
when it starts, erases again whom its data say were erased, and leaves an event of
that; an erasure whose data were lost too is in the ledger of the vault: art32 backup
replay. Rotate the tenants' data keys afterwards (keys rotate --kind data): what was
sealed since the copy is not counted.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &keysRestore{}
			r.env = envLibrary
			fs.StringVar(&r.dsn, "dsn", "", "the postgres:// `URL` of the library login; default: $"+envLibrary)
			fs.StringVar(&r.data, "keystore", "", "SQLite: the `DIR` of keystore.db, made where there is none")
			fs.StringVar(&r.key, "key", "", "the root key `FILE`; required")
			fs.Var(&r.older, "old-key", "a root key `FILE` that --key follows, while one replaces another; may be repeated")
			fs.StringVar(&r.from, "copy", "", "the `FILE` that keys copy has written; required")
			return r.run
		},
	}
}

// keysRestore is one call of the verb.
type keysRestore struct {
	keyed

	from string
}

func (r *keysRestore) run(ctx context.Context, out *output) (err error) {
	switch {
	case r.from == "" || r.key == "":
		return usagef("--copy FILE and --key FILE are required")
	case r.data != "" && r.dsn != "":
		return usagef("--keystore and --dsn exclude each other")
	case r.data == "" && r.dsn == "" && os.Getenv(r.env) == "":
		return usagef("say which keystore: --keystore DIR for SQLite, --dsn URL (or $%s) for PostgreSQL", r.env)
	}
	if err := r.target.resolve(); err != nil {
		return err
	}
	f, err := os.Open(r.from)
	if err != nil {
		return err
	}
	defer f.Close()
	o := &opened{}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := r.unlock(ctx, o); err != nil {
		return err
	}
	done, err := o.keys.RestoreCopy(ctx, f)
	if err != nil && done.Added > 0 {
		return fmt.Errorf("%w; %d versions were added until then: call it again", err, done.Added)
	}
	if err != nil {
		return err
	}
	out.textf("copy of %s: %d of %d versions of keys were missing and are there again; %d are erased as the copy says",
		done.At.Format(time.RFC3339), done.Added, done.Records, done.Erased)
	return out.value(struct {
		At      time.Time `json:"at"`
		Records int64     `json:"records"`
		Added   int64     `json:"added"`
		Erased  int64     `json:"erased"`
	}{done.At, done.Records, done.Added, done.Erased})
}
