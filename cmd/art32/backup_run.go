package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/backup/sqlitesource"
)

func backupRunVerb() verb {
	return verb{
		name:  "backup run",
		brief: "make one encrypted backup that this machine cannot read",
		login: "the backup login (--dsn), the library login (--library-dsn), the app login (--app-dsn) and the root key,\nor write access to the directory (--data)",
		more: `Each tenant's part is encrypted to that tenant alone, whose identity lies in the
vault, encrypted to the recovery recipients: the public keys of at least two people
who keep the identities elsewhere. The vault is a folder, better two on two disks,
outside the target and in no other backup. The run counts once its manifest is
signed, which is last; before that the platform's log tells of it. A run that fails
leaves the older ones as they were. It prints the public key of the signer: hold it
elsewhere.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &backupRun{}
			fs.StringVar(&r.data, "data", "", "the `DIR` that holds the SQLite files")
			fs.StringVar(&r.keystore, "keystore", "", "the `DIR` of keystore.db; default: that of the data")
			fs.StringVar(&r.dsn, "dsn", "", "the postgres:// `URL` of the backup login; default: $"+envBackup)
			fs.StringVar(&r.library, "library-dsn", "", "the postgres:// `URL` of the library login; default: $"+envLibrary)
			r.keyFlags(fs)
			r.place.flags(fs)
			fs.Var(&r.vault, "vault", "a `DIR` of the vault, mode 0700; at least one, better two; repeated")
			fs.Var(&r.recovery, "recovery", "a `RECIPIENT` of age (\"age1…\") who can recover, or a file that lists some; at least two; repeated")
			fs.StringVar(&r.migrations, "migrations", "", "PostgreSQL: the `DIR` of the application's own migrations, which the backup carries")
			fs.StringVar(&r.name, "target-name", "", "a `NAME` for the target where several share the vault; default: none, for the only one")
			fs.StringVar(&r.reason, "reason", "backup", "why, as a `TEXT` for the platform's log, where it is encrypted")
			return r.run
		},
	}
}

// backupRun is one call of the verb.
type backupRun struct {
	keyed
	place

	name       string // of the target
	library    string
	recovery   values
	migrations string
	reason     string
	app        fs.FS
}

func (r *backupRun) run(ctx context.Context, out *output) (err error) {
	if err := r.resolve(); err != nil {
		return err
	}
	recipients, err := readRecipients(r.recovery)
	if err != nil {
		return err
	}
	if len(recipients) < 2 || len(r.vault) == 0 {
		return usagef("--vault DIR and two --recovery RECIPIENT are required")
	}
	source, err := r.source()
	if err != nil {
		return err
	}
	target, err := r.place.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	o, err := r.keyed.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return r.make(ctx, out, o, source, target, recipients)
}

// resolve makes sure that all logins are named.
func (r *backupRun) resolve() (err error) {
	if r.dir == "" {
		return usagef("--target DIR is required")
	}
	r.env = envBackup
	if r.app, err = folder(r.migrations); err != nil {
		return err
	}
	if r.data != "" || r.dsn == "" && os.Getenv(envBackup) == "" {
		if r.library != "" || r.migrations != "" {
			return usagef("--library-dsn and --migrations belong to --dsn")
		}
		return r.keyed.resolve()
	}
	if err := r.target.resolve(); err != nil {
		return err
	}
	if r.library == "" {
		r.library = os.Getenv(envLibrary)
	}
	if r.library == "" {
		return usagef("--library-dsn URL (or $%s) is required with PostgreSQL", envLibrary)
	}
	if err := checkDSN("--library-dsn", r.library); err != nil {
		return err
	}
	r.dsn, r.library = r.library, r.dsn // the database is opened with the library login
	return r.resolveServer()
}

// source is what is read; with PostgreSQL, by the backup login.
func (r *backupRun) source() (backup.Source, error) {
	if r.data != "" {
		return sqlitesource.New(r.data, &sqlitesource.Options{Keystore: r.keystore}), nil
	}
	return pgsource.New(r.library, &pgsource.Options{Migrations: r.app, Lines: packageLines()})
}

func (r *backupRun) make(
	ctx context.Context, out *output, o *opened, source backup.Source, target backup.Target, recipients []string,
) error {
	vault, err := backup.OpenVault(ctx, o.keys, recipients, r.vault...)
	if err != nil {
		return err
	}
	job, err := backup.New(source, target, vault, o.keys, o.recorder, &backup.Options{Target: r.name})
	if err != nil {
		return err
	}
	m, err := job.Run(acting(ctx, r.reason))
	if m == nil {
		return err
	}
	v := made{OK: err == nil, Manifest: m, Warnings: []string{}}
	if len(r.vault) == 1 {
		v.Warnings = append(v.Warnings, "the vault has one folder: with that disk every backup is lost; name a second with --vault")
	}
	if err != nil {
		v.Warnings = append(v.Warnings, fmt.Sprintf("the backup stands, but look: %v", err))
	}
	v.print(out)
	if err := out.value(v); err != nil || v.OK {
		return err
	}
	return errFindings
}

// made is a run as it is printed.
type made struct {
	OK       bool             `json:"ok"`
	Manifest *backup.Manifest `json:"manifest"`
	Warnings []string         `json:"warnings"`
}

// print shows the run, and what is wrong beside it.
func (v *made) print(out *output) {
	m := v.Manifest
	out.textf("run %s: committed, number %d", m.Run, m.Number)
	out.textf("parts %d, of %d tenants: %s", len(m.Parts), len(m.Parts)-1, size(bytesOf(m)))
	out.textf("erasures in the ledger: %d", m.Ledger.Entries)
	for _, x := range m.Excluded {
		out.textf("left out %s: %s", x.Table, x.Reason)
	}
	out.textf("signer %s\n  hold it elsewhere, and pass it to backup verify and restore", m.Signer)
	for _, text := range v.Warnings {
		out.textf("WARN  %s", text)
	}
}
