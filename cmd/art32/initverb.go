package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

func initVerb() verb {
	return verb{
		name:  "init",
		brief: "prepare a directory (SQLite) or a database (PostgreSQL)",
		login: "the owner's login, which may create roles (--dsn), or write access to the directory (--data)",
		more: `SQLite: makes the directory, the root key, the keystore and the platform's file.
Repeating it changes nothing that is there.
PostgreSQL: makes the roles, the four logins, all tables and the key of the seal,
and shows the four DSNs once: of the library, of the application's own SQL, of
programs that read over tenants (tenancy.DB.Across), and of the one that makes
backups. They hold passwords. Repeating it is refused, since it would give the
logins new passwords; art32 migrate applies migrations.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			i := &initiation{}
			i.flags(fs, "owner's", envOwner)
			fs.StringVar(&i.key, "key", "", "the root key `FILE`, made where there is none;\ndefault: root.key in the directory; with --dsn: none is made")
			fs.StringVar(&i.migrations, "migrations", "", "the `DIR` of the application's own migrations, files 0001_name.sql")
			fs.StringVar(&i.out, "out", "", "PostgreSQL: write the four DSNs to this new `FILE`, mode 0600, and not to the screen")
			fs.StringVar(&i.environment, "environment", "", "stamp a new database as this `NAME`, such as staging; it is refused where another stands.\nDefault: no stamp, which counts as production")
			fs.BoolVar(&i.again, "new-passwords", false, "PostgreSQL: repeat it on a prepared database; running instances need the new DSNs")
			return i.run
		},
	}
}

// initiation is one call of the verb.
type initiation struct {
	target

	key        string
	migrations string
	out        string
	again      bool
	// environment is the stamp; "" for none.
	environment string
	app         fs.FS
	made        []step
}

// step is one thing that is there now.
type step struct {
	What string `json:"what"`
	Path string `json:"path,omitzero"`
	Made bool   `json:"made"` // false: it was there
	Note string `json:"-"`
}

func (i *initiation) run(ctx context.Context, out *output) (err error) {
	if err := i.resolve(); err != nil {
		return err
	}
	if i.app, err = folder(i.migrations); err != nil {
		return err
	}
	if i.environment != "" && tenancy.CheckEnvironment(i.environment) != nil {
		return usagef("--environment must be 1 to 31 lower-case letters, digits and hyphens, a letter first")
	}
	if i.data != "" {
		if i.out != "" || i.again {
			return usagef("--out and --new-passwords belong to --dsn")
		}
		return i.directory(ctx, out)
	}
	return i.database(ctx, out)
}

// directory prepares SQLite.
func (i *initiation) directory(ctx context.Context, out *output) (err error) {
	if i.key == "" {
		i.key = filepath.Join(i.data, keyFile)
	}
	had := func(name string) bool { return exists(filepath.Join(i.data, name)) }
	before := map[string]bool{platformFile: had(platformFile), keystoreFile: had(keystoreFile)}
	if err := i.judge(before); err != nil {
		return err
	}
	i.note("directory", i.data, !exists(i.data), "")
	if err := os.MkdirAll(i.data, 0o700); err != nil {
		return err
	}
	root, err := i.rootKey()
	if err != nil {
		return err
	}
	store, err := sqlite.OpenKeystore(ctx, i.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }() //nolint:contextcheck // as io.Closer
	i.note("keystore", filepath.Join(i.data, keystoreFile), !before[keystoreFile], "never part of a backup of the data")
	if err := i.platform(ctx, root, store); err != nil {
		return err
	}
	i.note("platform", filepath.Join(i.data, platformFile), !before[platformFile], "")
	return i.report(out, nil)
}

// judge refuses to begin anew where something was lost, or in a directory of
// something else.
func (i *initiation) judge(before map[string]bool) error {
	switch {
	case before[keystoreFile] && !exists(i.key):
		return fmt.Errorf("%s exists and its root key %s does not: restore the key file, or name it with --key", keystoreFile, i.key)
	case before[platformFile] && !before[keystoreFile]:
		return fmt.Errorf("%s exists in %s and %s does not: restore it; a new one could read nothing", platformFile, i.data, keystoreFile)
	case before[platformFile] || before[keystoreFile]:
		return nil
	}
	entries, err := os.ReadDir(i.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	for _, e := range entries {
		if filepath.Join(i.data, e.Name()) != i.key && e.Name() != tenantsDir {
			return fmt.Errorf("--data: %s holds other files and no data of art32: choose a new directory", i.data)
		}
	}
	return nil
}

// rootKey opens the root key or makes it.
func (i *initiation) rootKey() (keyring.Wrapper, error) {
	made := !exists(i.key)
	if made {
		if err := keyring.CreateKeyFile(i.key); err != nil {
			return nil, err
		}
	}
	i.note("root key", i.key, made, "keep one copy apart from every backup: without it nobody can read the data")
	return keyring.KeyFile(i.key)
}

// platform binds the keystore to the root and makes the platform's file.
func (i *initiation) platform(ctx context.Context, root keyring.Wrapper, store keyring.Store) error {
	ring, err := keyring.New(root, store, nil)
	if err != nil {
		return err
	}
	if err := bind(ctx, ring); err != nil {
		return err
	}
	log, err := audit.New(ring, nil)
	if err != nil {
		return err
	}
	schema, err := declaredIn(ctx, i.data)
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, i.data, schema, ring, log, &sqlite.Options{Migrations: i.app, Lines: packageLines(), Environment: i.environment})
	if err != nil {
		return err
	}
	return db.Close()
}

// bind makes the platform's own keys, which fails if the keystore has another
// root.
func bind(ctx context.Context, ring *keyring.Ring) error {
	if err := ring.CreateTenant(ctx, uuid.Nil); err != nil {
		return err
	}
	key, err := ring.IndexKey(ctx, uuid.Nil)
	clear(key)
	return err
}

// database prepares PostgreSQL.
func (i *initiation) database(ctx context.Context, out *output) (err error) {
	if err := i.refuseAgain(ctx); err != nil {
		return err
	}
	var file *os.File // opened first: passwords that could not be shown would be lost
	if i.out != "" {
		if file, err = os.OpenFile(i.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
	}
	logins, err := postgres.Setup(ctx, i.dsn, &postgres.SetupOptions{Migrations: i.app, Lines: packageLines(), Environment: i.environment})
	if err == nil {
		i.note("database", "", !i.again, "")
		err = i.bindKey(ctx, logins)
	}
	if file != nil {
		err = errors.Join(err, i.write(file, logins))
	}
	if logins == (postgres.Logins{}) {
		return err
	}
	return errors.Join(err, i.report(out, &logins))
}

// refuseAgain keeps a second call from taking the passwords of running
// instances away.
func (i *initiation) refuseAgain(ctx context.Context) error {
	db, err := openPostgres(ctx, i.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('art32.seal_keys') IS NOT NULL").Scan(&there); err != nil {
		return fromServer(err)
	}
	if there && !i.again {
		return errors.New("the database is prepared already, and repeating it would give the logins new passwords: " +
			"use art32 migrate for migrations, or --new-passwords and then the new DSNs in all running instances")
	}
	if !there || i.key == "" {
		return nil
	}
	if !exists(i.key) {
		return refuseNewRoot(ctx, db, i.key)
	}
	return refuseNewKeys(ctx, db)
}

// refuseNewKeys keeps keys from being made where those of the tenants were lost.
func refuseNewKeys(ctx context.Context, db *sql.DB) error {
	var lost bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM (SELECT id FROM art32.tenants ORDER BY created_at, id LIMIT 1) t
WHERE NOT EXISTS (SELECT FROM art32_keys.keys k WHERE k.tenant_id = t.id))`).Scan(&lost)
	if err != nil {
		return fromServer(err)
	}
	if lost {
		return tenancy.ErrOtherKeystore
	}
	return nil
}

// refuseNewRoot keeps a new root key from being made beside a keystore that has
// another one.
func refuseNewRoot(ctx context.Context, db *sql.DB, key string) error {
	var bound bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM art32_keys.keys)").Scan(&bound); err != nil {
		return fromServer(err)
	}
	if bound {
		return fmt.Errorf("the keystore holds keys and its root key %s does not exist: restore the key file, or name it with --key", key)
	}
	return nil
}

func (i *initiation) bindKey(ctx context.Context, logins postgres.Logins) (err error) {
	if i.key == "" {
		return nil
	}
	root, err := i.rootKey()
	if err != nil {
		return err
	}
	store, err := postgres.OpenKeystore(ctx, logins.Library)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ring, err := keyring.New(root, store, nil)
	if err != nil {
		return err
	}
	return bind(ctx, ring)
}

// write fills the file, or removes it where there is nothing to fill it with.
func (i *initiation) write(file *os.File, logins postgres.Logins) error {
	err := writeLogins(file, logins)
	if logins != (postgres.Logins{}) {
		i.note("logins", i.out, true, "the file holds passwords")
	}
	return err
}

func (i *initiation) note(what, path string, made bool, note string) {
	i.made = append(i.made, step{What: what, Path: path, Made: made, Note: note})
}

// report prints what is there now, and the DSNs where no file took them.
func (i *initiation) report(out *output, logins *postgres.Logins) error {
	for _, s := range i.made {
		state := "was there"
		if s.Made {
			state = "made"
		}
		line := strings.Join(slices.DeleteFunc([]string{s.What, s.Path, state, s.Note}, func(s string) bool { return s == "" }), ": ")
		out.textf("%s", line)
	}
	if i.data != "" && i.app != nil {
		out.textf("migrations: checked; each tenant's file gets them when it is made or next opened, or by art32 migrate")
	}
	value := map[string]any{"ok": true, "steps": i.made}
	if logins != nil && i.out == "" {
		printLogins(out, *logins)
		value["library_dsn"], value["app_dsn"] = logins.Library, logins.App
		value["across_dsn"], value["backup_dsn"] = logins.Across, logins.Backup
	}
	return out.value(value)
}
