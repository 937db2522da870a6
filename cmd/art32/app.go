package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// self is who acts in the log where this program does.
var self = tenancy.MustService("art32")

// values are those of a flag that may be given several times.
type values []string

func (v *values) String() string { return strings.Join(*v, ", ") }

func (v *values) Set(s string) error {
	*v = append(*v, s)
	return nil
}

// keyed is a database that a verb opens with its keys, as the application does.
type keyed struct {
	target

	appDSN   string
	key      string
	keystore string // SQLite: the directory of keystore.db; "" is that of the data
	accept   values
	older    values          // root keys that open beside key
	ring     keyring.Options // as the application has it
	// ledger is told of erasures; nil for none.
	ledger func(ctx context.Context, keys *keyring.Ring) (tenancy.ErasureLedger, error)
}

func (k *keyed) flags(fs *flag.FlagSet) {
	k.target.flags(fs, "library", envLibrary)
	k.keyFlags(fs)
}

func (k *keyed) keyFlags(fs *flag.FlagSet) {
	fs.StringVar(&k.appDSN, "app-dsn", "", "the postgres:// `URL` of the app login; default: $"+envApp)
	fs.StringVar(&k.key, "key", "", "the root key `FILE`; default: root.key in the directory; required with PostgreSQL")
	fs.Var(&k.accept, "accept", "PostgreSQL: a weakness by its `NAME` that the application accepts (postgres.Options.Unsafe); may be repeated")
}

// resolve makes sure that all is named that opening needs.
func (k *keyed) resolve() error {
	if err := k.target.resolve(); err != nil {
		return err
	}
	if k.data != "" {
		if k.key == "" {
			k.key = filepath.Join(k.data, keyFile)
		}
		return nil
	}
	return k.resolveServer()
}

// resolveServer does so for PostgreSQL, once the library's DSN is known.
func (k *keyed) resolveServer() error {
	if k.appDSN == "" {
		k.appDSN = os.Getenv(envApp)
	}
	switch {
	case k.appDSN == "":
		return usagef("--app-dsn URL (or $%s) is required with PostgreSQL", envApp)
	case k.key == "":
		return usagef("--key FILE is required with PostgreSQL")
	}
	return checkDSN("--app-dsn", k.appDSN)
}

// opened is a database with its keys and its log.
type opened struct {
	db       *tenancy.DB
	keys     *keyring.Ring
	store    keyring.Lister
	log      *audit.Log
	ledger   tenancy.ErasureLedger // nil for none
	recorder *audit.Recorder
	closes   []func() error
}

func (o *opened) close() error {
	var errs []error
	for i := len(o.closes) - 1; i >= 0; i-- {
		errs = append(errs, o.closes[i]())
	}
	return errors.Join(errs...)
}

// open opens the database with the tables that the application last opened it
// with.
func (k *keyed) open(ctx context.Context) (o *opened, err error) {
	o = &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	src, err := openSource(ctx, &k.target)
	if err != nil {
		return o, err
	}
	schema, err := declaredBy(ctx, src)
	held, heldErr := heldBy(ctx, src)
	if err = errors.Join(err, heldErr, k.upToDate(ctx, src, held), src.close()); err != nil {
		return o, err
	}
	if err := k.unlock(ctx, o); err != nil {
		return o, err
	}
	if err := k.join(ctx, o, schema, begun(packageLines(), held)); err != nil {
		return o, err
	}
	o.closes = append(o.closes, o.db.Close)
	o.recorder, err = audit.NewRecorder(o.log, o.db)
	return o, err
}

// upToDate refuses to migrate by the way: an application that is older than this
// program could not open the database any more. PostgreSQL refuses by itself.
func (k *keyed) upToDate(ctx context.Context, src source, held map[string]bool) error {
	if k.data == "" || len(held) == 0 {
		return nil
	}
	missing, err := pending(ctx, src.platform(), migrate.SQLite, begun(platformLines(), held))
	if err != nil {
		return fromSQLite(platformFile, err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("pending: %s: run art32 migrate once the application is as new as this program", strings.Join(missing, ", "))
	}
	return nil
}

// root is the root key, and with it those that it follows.
func (k *keyed) root() (keyring.Wrapper, error) {
	root, err := keyring.KeyFile(k.key)
	if err != nil || len(k.older) == 0 {
		return root, err
	}
	var older []keyring.Wrapper
	for _, name := range k.older {
		w, err := keyring.KeyFile(name)
		if err != nil {
			return nil, err
		}
		older = append(older, w)
	}
	return keyring.Roots(root, older...)
}

// unlock opens the keystore with the root key.
func (k *keyed) unlock(ctx context.Context, o *opened) error {
	root, err := k.root()
	if err != nil {
		return err
	}
	var store keyring.Store
	if k.data != "" {
		s, err := sqlite.OpenKeystore(ctx, cmp.Or(k.keystore, k.data))
		if err != nil {
			return err
		}
		store, o.store, o.closes = s, s, append(o.closes, s.Close)
	} else {
		s, err := postgres.OpenKeystore(ctx, k.dsn)
		if err != nil {
			return err
		}
		store, o.store, o.closes = s, s, append(o.closes, s.Close)
	}
	if o.keys, err = keyring.New(root, store, &k.ring); err != nil {
		return err
	}
	if k.ledger != nil {
		if o.ledger, err = k.ledger(ctx, o.keys); err != nil {
			return err
		}
	}
	o.log, err = audit.New(o.keys, nil)
	return err
}

// join opens the data.
func (k *keyed) join(ctx context.Context, o *opened, schema tenancy.Schema, lines []tenancy.Line) (err error) {
	if k.data != "" {
		o.db, err = sqlite.Open(ctx, k.data, schema, o.keys, o.log, &sqlite.Options{Lines: lines, Ledger: o.ledger})
		return err
	}
	if schema[0] == placeholders[0] {
		return errors.New("no application has opened this database yet, so that its tables are not known: start the application once")
	}
	options := &postgres.Options{SetupOptions: postgres.SetupOptions{Lines: lines}, Ledger: o.ledger}
	for _, name := range k.accept {
		options.Unsafe = append(options.Unsafe, postgres.Weakness(name))
	}
	o.db, err = postgres.Open(ctx, postgres.Logins{Library: k.dsn, App: k.appDSN}, schema, o.keys, o.log, options)
	return err
}
