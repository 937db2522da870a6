package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
)

const defaultLag = time.Minute

func doctorVerb() verb {
	return verb{
		name:  "doctor",
		brief: "look for what keeps a database from working safely",
		login: "the library login (--dsn) and the app login (--app-dsn), or read access to the directory (--data) and the root key",
		more: `It changes nothing. SQLite: modes of directories and files, the root key and
whether it fits the keystore, damage, pending migrations. PostgreSQL: all for
which opening the database would be refused. Both: events that no sealer has
taken, and the audit logs as audit verify checks them without anything held
elsewhere.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			d := &doctor{}
			d.flags(fs, "library", envLibrary)
			fs.StringVar(&d.appDSN, "app-dsn", "", "the postgres:// `URL` of the app login; default: $"+envApp)
			fs.StringVar(&d.key, "key", "", "the root key `FILE`;\ndefault: root.key in the directory; with --dsn: not checked")
			fs.StringVar(&d.migrations, "migrations", "", "the `DIR` of the application's own migrations, files 0001_name.sql; default: not checked")
			fs.DurationVar(&d.pending, "pending", defaultLag, "accept events that wait for the sealer for less than this `DURATION`; default: 1m")
			return d.run
		},
	}
}

// doctor is one call of the verb.
type doctor struct {
	target

	appDSN     string
	key        string
	migrations string
	pending    time.Duration
	app        fs.FS
	checks     []check
}

// check is one look at one thing.
type check struct {
	Name  string  `json:"check"`
	OK    bool    `json:"ok"`
	Found []fault `json:"found"`
}

// fault is what was found and how to mend it.
type fault struct {
	What string `json:"what"`
	Mend string `json:"mend"` // "": what says it
}

func (f fault) String() string {
	if f.Mend == "" {
		return f.What
	}
	return f.What + "; mend: " + f.Mend
}

func (d *doctor) run(ctx context.Context, out *output) (err error) {
	if err := d.resolve(); err != nil {
		return err
	}
	if d.app, err = folder(d.migrations); err != nil {
		return err
	}
	if d.data != "" {
		err = d.directory(ctx)
	} else {
		err = d.database(ctx)
	}
	if err != nil {
		return err
	}
	return d.report(out)
}

func (d *doctor) report(out *output) error {
	ok := true
	for _, c := range d.checks {
		ok = ok && c.OK
		if c.OK {
			out.textf("ok    %s", c.Name)
		}
		for _, f := range c.Found {
			out.textf("BAD   %s: %s", c.Name, f)
		}
	}
	err := out.value(struct {
		OK     bool    `json:"ok"`
		Checks []check `json:"checks"`
	}{ok, d.checks})
	if err == nil && !ok {
		err = errFindings
	}
	return err
}

func (d *doctor) add(name string, found ...fault) {
	d.checks = append(d.checks, check{Name: name, OK: len(found) == 0, Found: append([]fault{}, found...)})
}

// logs looks at the tenants, and for events that wait for the sealer.
func (d *doctor) logs(ctx context.Context, src source) {
	subjects, err := src.logs(ctx)
	if err != nil {
		d.add("tenants", fault{err.Error(), ""})
		return
	}
	db, err := readOnly(src)
	if err != nil {
		d.add("audit logs", fault{err.Error(), ""})
		return
	}
	var odd, late, wrong []fault
	for _, s := range subjects {
		for _, text := range s.wrong {
			odd = append(odd, fault{s.name() + ": " + text, "restore what is missing from a backup, and find out who removed it"})
		}
		if s.absent {
			continue
		}
		r, err := verifyLog(ctx, src, db, s.tenant, &audit.VerifyOptions{MaxPending: d.pending})
		if err != nil {
			wrong = append(wrong, fault{s.name() + ": " + err.Error(), ""})
		}
		if r != nil {
			late, wrong = append(late, lag(s, r)...), append(wrong, altered(s, r)...)
		}
	}
	d.add("tenants", odd...)
	d.add("sealing", late...)
	d.add("audit logs", wrong...)
}

// altered sums up what is wrong with a log.
func altered(s subject, r *audit.Report) []fault {
	n := int64(len(r.Findings)) + r.More
	if n == 0 {
		return nil
	}
	return []fault{{fmt.Sprintf("%s: %d findings, the first: %s", s.name(), n, describe(r.Findings[0])), "look at art32 audit verify --tenant " + s.name()}}
}

// lag finds events that are older than the sealer should let them become.
func lag(s subject, r *audit.Report) []fault {
	if r.Overdue == 0 {
		return nil
	}
	return []fault{{
		fmt.Sprintf("%s: %d events wait for the sealer, the oldest for %s", s.name(), r.Pending, r.At.Sub(r.OldestPending).Round(time.Second)),
		"run the application's sealer (audit.Sealer), or look into its log",
	}}
}

// root looks whether the root key opens and fits the keystore.
func (d *doctor) root(ctx context.Context, store keyring.Store) {
	root, err := keyring.KeyFile(d.key)
	if errors.Is(err, fs.ErrNotExist) {
		d.add("root key", fault{"there is no file " + d.key, "name it with --key, or restore it from its copy"})
		return
	}
	if err != nil {
		d.add("root key", fault{err.Error(), ""})
		return
	}
	ring, err := keyring.New(root, store, nil)
	if err == nil {
		var key []byte
		key, err = ring.IndexKey(ctx, uuid.Nil)
		clear(key)
	}
	if err != nil {
		d.add("root key", fault{"it does not open the keystore: " + err.Error(), "use the root key and the keystore that belong together; art32 init --key FILE binds them"})
		return
	}
	d.add("root key")
}
