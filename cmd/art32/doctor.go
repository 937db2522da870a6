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
	"github.com/art32/art32/tenancy"
)

const (
	defaultLag      = time.Minute
	defaultAbsolute = 12 * time.Hour // as session.Policy has it
)

func doctorVerb() verb {
	return verb{
		name:  "doctor",
		brief: "look for what keeps a database from working safely",
		login: "the library login (--dsn) and the app login (--app-dsn), or read access to the directory (--data) and the root key",
		more: `It changes nothing, and leaves nothing beside the files. One line says of each check
"ok", "BAD" with what mends it, or "–" where nothing was checked or nothing is to be
checked, under the measure of the annex (TOM) and the package that carries it.
SQLite: modes of directories and files, the root key and whether it fits the
keystore, damage, pending migrations. PostgreSQL: all for which opening the
database would be refused. Both: versions of keys that are retired, keys that seal
for longer than --key-age, rotations that are not at their end; events that no sealer has taken, and the audit
logs as audit verify checks them without anything held elsewhere; sessions that
nobody deletes, cases that nobody was told of, tenants without contact, messages
that do not leave. With --target and --vault also the newest backup, which is read
whole: its age, signature and parts, the copy of the keystore, the ledger of
erasures, that the vault tells of no newer one, and that its folders are equal.
With --vault and the root key also that everybody whom the ledger names is erased,
which a restore by hand undoes.
A database without tables of art32, and a folder or a file of SQLite that art32 did
not make, get a first look: the channel, the login, the version and the log of the
server; damage and modes of files; tables that look as if they held the rows of
several tenants, and columns that look personal and are in clear. The look reads
names, never a row, in a transaction that cannot write; what it guesses from a name
says "looks". It needs no --app-dsn.
--probe tries besides, between two tenants that have rows, what must not work between
any two. For that it opens the database as the application does, with the root key. It
refuses what counts as production: a database that art32 init --environment, or the
application, has not stamped as something else. Every attempt is rolled back. --report
keeps what was tried in DIR, for people in German and English, and as JSON.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			d := &doctor{}
			d.flags(fs, "library", envLibrary)
			fs.StringVar(&d.acrossDSN, "across-dsn", "", "the postgres:// `URL` of the across login; default: $"+envAcross+", else it is not checked")
			fs.StringVar(&d.appDSN, "app-dsn", "", "the postgres:// `URL` of the app login; default: $"+envApp)
			fs.StringVar(&d.key, "key", "", "the root key `FILE`;\ndefault: root.key in the directory; with --dsn: not checked")
			fs.StringVar(&d.migrations, "migrations", "", "the `DIR` of the application's own migrations, files 0001_name.sql; default: not checked")
			fs.DurationVar(&d.pending, "pending", defaultLag, "accept events that wait for the sealer for less than this `DURATION`; default: 1m")
			fs.DurationVar(&d.absolute, "session-absolute", defaultAbsolute, "how long the application lets a session last at all (session.Policy.Absolute), a `DURATION`; default: 12h")
			fs.DurationVar(&d.keyAge, "key-age", defaultKeyAge, "how long a key may seal before it is to be rotated, a `DURATION`; default: 17520h, two years")
			fs.StringVar(&d.copies.dir, "target", "", "the `DIR` that holds the backups; default: backups are not checked")
			fs.Var(&d.copies.vault, "vault", "a `DIR` of the vault of the backups; repeated")
			fs.StringVar(&d.copies.signer, "signer", "", "the public `KEY` that must have signed the backups, or a file that holds it; default: the one that they name")
			fs.BoolVar(&d.probes.wanted, "probe", false, "try what must not work between tenants; refused on what counts as production")
			fs.StringVar(&d.probes.dir, "report", "", "with --probe: write the report to this `DIR`; default: none is kept")
			fs.Var(&d.probes.accept, "accept", "with --probe, PostgreSQL: a weakness by its `NAME` that the application accepts (postgres.Options.Unsafe); may be repeated")
			return d.run
		},
	}
}

// doctor is one call of the verb.
type doctor struct {
	target
	checks

	copies     place
	probes     probing
	appDSN     string
	acrossDSN  string
	key        string
	migrations string
	pending    time.Duration
	absolute   time.Duration // of a session
	keyAge     time.Duration
	app        fs.FS
	keyed      map[tenancy.ID]bool // tenants whose keys the keystore has; nil: unknown
}

func (d *doctor) run(ctx context.Context, out *output) (err error) {
	if err := d.choose(); err != nil {
		return err
	}
	if d.app, err = folder(d.migrations); err != nil {
		return err
	}
	if d.pending < 0 || d.absolute <= 0 || d.keyAge <= 0 {
		return usagef("--pending must not be negative, and --session-absolute and --key-age must be positive")
	}
	if d.copies.signer, err = readSigner(d.copies.signer); err != nil {
		return err
	}
	if err := d.allowed(ctx); err != nil {
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
	d.backups(ctx)
	if err := d.probe(ctx); err != nil {
		return err
	}
	if d.erasures(ctx); ctx.Err() != nil {
		return ctx.Err()
	}
	return d.report(out)
}

// logs looks at the tenants, and for events that wait for the sealer.
func (d *doctor) logs(ctx context.Context, src source) {
	subjects, err := src.logs(ctx)
	if err != nil {
		d.add("TOM-8.1", "tenants", fault{What: err.Error()})
		return
	}
	d.owned(subjects)
	db, err := readOnly(src)
	if err != nil {
		d.add("TOM-5.1", "audit logs", fault{What: err.Error()})
		return
	}
	var odd, late, wrong []fault
	for _, s := range subjects {
		for _, text := range s.wrong {
			odd = append(odd, bad(s.name()+": "+text, "restore what is missing from a backup, and find out who removed it"))
		}
		if s.absent {
			continue
		}
		r, err := verifyLog(ctx, src, db, s.tenant, &audit.VerifyOptions{MaxPending: d.pending})
		if err != nil {
			wrong = append(wrong, fault{What: s.name() + ": " + err.Error()})
		}
		if r != nil {
			late, wrong = append(late, lag(s, r)...), append(wrong, altered(s, r)...)
		}
	}
	d.add("TOM-8.1", "tenants", odd...)
	d.add("TOM-5.1", "sealing", late...)
	d.add("TOM-5.1", "audit logs", wrong...)
}

// altered sums up what is wrong with a log.
func altered(s subject, r *audit.Report) []fault {
	n := int64(len(r.Findings)) + r.More
	if n == 0 {
		return nil
	}
	return []fault{bad(fmt.Sprintf("%s: %d findings, the first: %s", s.name(), n, describe(r.Findings[0])), "look at art32 audit verify --tenant "+s.name())}
}

// lag finds events that are older than the sealer should let them become.
func lag(s subject, r *audit.Report) []fault {
	if r.Overdue == 0 {
		return nil
	}
	return []fault{bad(
		fmt.Sprintf("%s: %d events wait for the sealer, the oldest for %s", s.name(), r.Pending, r.At.Sub(r.OldestPending).Round(time.Second)),
		"run the application's sealer (audit.Sealer), or look into its log",
	)}
}

// root looks whether the root key opens and fits the keystore.
func (d *doctor) root(ctx context.Context, store keyring.Store) {
	root, err := keyring.KeyFile(d.key)
	if errors.Is(err, fs.ErrNotExist) {
		d.add("TOM-7.2", "root key", bad("there is no file "+d.key, "name it with --key, or restore it from its copy"))
		return
	}
	if err != nil {
		d.add("TOM-7.2", "root key", fault{What: err.Error()})
		return
	}
	ring, err := keyring.New(root, store, nil)
	if err == nil {
		var key []byte
		key, err = ring.IndexKey(ctx, uuid.Nil)
		clear(key)
	}
	switch {
	case errors.Is(err, errNoKey), errors.Is(err, keyring.ErrNoTenant), errors.Is(err, keyring.ErrKeystore):
		d.add("TOM-7.2", "root key", bad("the keystore holds no key of the platform", "restore it from its copy (art32 keys restore), or where there are no tenants yet, run art32 init --key FILE"))
		return
	case err != nil:
		d.add("TOM-7.2", "root key", bad("it does not open the keystore: "+err.Error(), "use the root key and the keystore that belong together"))
		return
	}
	d.add("TOM-7.2", "root key")
}
