package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

func backupRestoreVerb() verb {
	return verb{
		name:  "backup restore",
		brief: "put a backup into an empty place, and repeat the erasures that came after it",
		login: "the owner's login, a superuser, to an empty database (--dsn), or a directory that is empty or not there (--into);\nthe root key, the vault, and the identity of a recovery recipient",
		more: `Signature and digests are checked before the first byte is written; each part is
copied to a private file below $TMPDIR, and used once the copy fits; what was loaded
is counted and compared; everybody whom the ledger of erasures names is erased again;
only then the place can be used. The ledger must hold what any run saw that the target
or the vault tells of, and nothing that the restored keystore did not write. Where the
vault tells of a newer run than the target holds, --run must say that an older one is
meant. An error leaves nothing there that could be used. It never writes into a place
in use: restore beside it, look at it, then change over.
SQLite: the root key is not part of a backup; put it into the directory, or go on
naming it with --key. PostgreSQL: the logins get new passwords, and the DSNs are
shown once.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			r := &backupRestore{}
			r.readFlags(fs, "required; - takes the one that the backup names, forged or not")
			fs.StringVar(&r.into, "into", "", "SQLite: the new `DIR`")
			fs.StringVar(&r.keystore, "keystore", "", "SQLite: the new `DIR` for keystore.db; default: that of the data")
			fs.StringVar(&r.dsn, "dsn", "", "PostgreSQL: the postgres:// `URL` of a superuser to an empty database; default: $"+envOwner)
			fs.StringVar(&r.out, "out", "", "PostgreSQL: write the DSNs to this new `FILE`, mode 0600, and not to the screen")
			fs.StringVar(&r.key, "key", "", "the root key `FILE`; required")
			fs.Var(&r.identity, "identity", "a `FILE` of age identities that can recover; required; may be repeated")
			fs.StringVar(&r.migrations, "migrations", "", "the `DIR` of the application's own migrations; default: those of the backup")
			fs.StringVar(&r.without, "without-ledger", "", "accept that the ledger of erasures is lost, forged or older than a run, for this `REASON`:\nwhoever it does not name comes back; default: such a ledger ends the restore")
			return r.restore
		},
	}
}

// backupRestore is one call of the verb.
type backupRestore struct {
	place

	into, keystore  string
	dsn, out        string
	key, migrations string
	without         string
	identity        values
	app             fs.FS
}

func (r *backupRestore) restore(ctx context.Context, out *output) (err error) {
	if err := r.resolve(); err != nil {
		return err
	}
	o, err := r.options()
	if err != nil {
		return err
	}
	target, err := r.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	name, err := r.choose(ctx, target)
	if err != nil {
		return err
	}
	if r.into != "" {
		return r.files(ctx, out, target, name, o)
	}
	return r.server(ctx, out, target, name, o)
}

// resolve makes sure that all is named that a restore needs.
func (r *backupRestore) resolve() (err error) {
	if err := r.place.resolve(); err != nil {
		return err
	}
	if r.app, err = folder(r.migrations); err != nil {
		return err
	}
	if r.into == "" && r.dsn == "" {
		r.dsn = os.Getenv(envOwner)
	}
	switch {
	case (r.into == "") == (r.dsn == ""):
		return usagef("say where: --into DIR for SQLite, or --dsn URL (or $%s) for PostgreSQL", envOwner)
	case r.into != "" && r.out != "" || r.dsn != "" && r.keystore != "":
		return usagef("--out belongs to --dsn, and --keystore to --into")
	case r.signer == "":
		return usagef("--signer KEY is required: art32 backup run printed it; --signer - takes the one that the backup names, forged or not")
	case r.key == "" || len(r.identity) == 0 || len(r.vault) == 0:
		return usagef("--key FILE, --identity FILE and --vault DIR are required")
	case r.dsn != "":
		return checkDSN("--dsn", r.dsn)
	}
	r.into, err = filepath.Abs(r.into)
	return err
}

// options reads the secrets.
func (r *backupRestore) options() (*backup.RestoreOptions, error) {
	ids, err := readIdentities(r.identity)
	if err != nil {
		return nil, err
	}
	root, err := keyring.KeyFile(r.key)
	if err != nil {
		return nil, err
	}
	return &backup.RestoreOptions{
		Signer: r.signer, Vault: r.vault, Identities: ids, Root: root, UnsafeWithoutLedger: r.without,
		Log: func(keys *keyring.Ring) (tenancy.ChangeRecorder, error) { return audit.New(keys, nil) },
		Recorder: func(log tenancy.ChangeRecorder, db *tenancy.DB) (backup.Recorder, error) {
			l, ok := log.(*audit.Log)
			if !ok {
				return nil, errors.New("the log is not an audit.Log")
			}
			return audit.NewRecorder(l, db)
		},
	}, nil
}

// files restores SQLite.
func (r *backupRestore) files(ctx context.Context, out *output, target backup.Target, name string, o *backup.RestoreOptions) error {
	into := sqlitesource.Into(r.into, &sqlitesource.IntoOptions{Keystore: r.keystore, Migrations: r.app})
	res, err := backup.Restore(ctx, target, name, into, o)
	if err != nil {
		return err
	}
	r.print(out, res)
	out.textf("into %s; the root key lies where it lay: %s", r.into, r.key)
	return out.value(restored{OK: true, Restored: res})
}

// server restores PostgreSQL.
func (r *backupRestore) server(ctx context.Context, out *output, target backup.Target, name string, o *backup.RestoreOptions) (err error) {
	var file *os.File // opened first: passwords that could not be shown would be lost
	if r.out != "" {
		if file, err = os.OpenFile(r.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	into, err := pgsource.Into(r.dsn, &pgsource.IntoOptions{Migrations: r.app, Lines: packageLines()})
	var res *backup.Restored
	if err == nil {
		res, err = backup.Restore(ctx, target, name, into, o)
	}
	var logins postgres.Logins
	if err == nil {
		logins = into.Logins()
	}
	if file != nil {
		err = errors.Join(err, writeLogins(file, logins))
	}
	if res == nil {
		return err
	}
	r.print(out, res)
	v := restored{OK: err == nil, Restored: res}
	if file == nil {
		printLogins(out, logins)
		v.Library, v.App, v.Across, v.Backup = logins.Library, logins.App, logins.Across, logins.Backup
	}
	return errors.Join(err, out.value(v))
}

// restored is what is printed for machines.
type restored struct {
	OK bool `json:"ok"`
	*backup.Restored

	Library string `json:"library_dsn,omitzero"`
	App     string `json:"app_dsn,omitzero"`
	Across  string `json:"across_dsn,omitzero"`
	Backup  string `json:"backup_dsn,omitzero"`
}

// print says what was done.
func (r *backupRestore) print(out *output, res *backup.Restored) {
	out.textf("run %s restored", res.Run)
	if out.textf("%s", signedBy(res.Signer, res.SignerGiven)); !res.SignerGiven {
		out.textf("WARN  the signer is the one that the backup names: whoever can write the target could have made it")
	}
	out.textf("tenants %d; tables compared %d, with %d rows", res.Tenants, res.Tables, res.Rows)
	out.textf("erasures repeated: %d, of %d in the ledger", res.Erased, res.Ledger.Entries)
	if res.WithoutLedger != "" {
		out.textf("WARN  without a whole ledger of erasures, for the reason given: whoever it does not name is back")
	}
	r.warn(out, res.Newer)
	for _, name := range res.Forgotten {
		out.textf("forgotten by intent, and not restored: %s", name)
	}
	for _, x := range res.Excluded {
		out.textf("not in the backup %s: %s", x.Table, x.Reason)
	}
}
