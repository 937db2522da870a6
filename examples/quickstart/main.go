// Command quickstart shows the library at work: it imports the customers of two
// tenants and tells, with the evidence for each step, what the library promises.
//
//	go run ./examples/quickstart             embedded SQLite in a temporary folder
//	go run ./examples/quickstart -data DIR   the same, and keeps the files
//	go run ./examples/quickstart -dsn URL    PostgreSQL; the URL of the owner's login
//
// This file is the wiring that a program copies; story.go is the story.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/examples"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

//go:embed migrations
var migrations embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// app is what the program works with.
type app struct {
	db     *tenancy.DB
	log    *audit.Log
	sealer *audit.Sealer
	close  func() error
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	data := flags.String("data", "", "`folder` for the SQLite files; it is kept")
	dsn := flags.String("dsn", "", "owner's `URL` of a fresh PostgreSQL database")
	csv := flags.String("csv", "", "`folder` with other nordlicht.csv and suedwind.csv")
	if err := flags.Parse(args); err != nil {
		return err
	}
	source, _ := fs.Sub(examples.Data, "testdata") // the path is a constant
	if *csv != "" {
		source = os.DirFS(*csv)
	}
	dir, done, err := folder(*data)
	if err != nil {
		return err
	}
	defer done()
	a, err := open(ctx, dir, *dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return (&story{app: a, out: out, source: source, dir: dir, owner: *dsn, kept: *data != ""}).tell(ctx)
}

// region wiring

// openSQLite opens everything in one folder.
func openSQLite(ctx context.Context, dir string) (*app, error) {
	root, err := rootKey(filepath.Join(dir, "root.key"))
	if err != nil {
		return nil, err
	}
	store, err := sqlite.OpenKeystore(ctx, dir)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return nil, err
	}
	own, _ := fs.Sub(migrations, "migrations/sqlite") // the path is a constant
	db, err := sqlite.Open(ctx, dir, schema, keys, log, &sqlite.Options{Migrations: own})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	sealer, err := audit.NewSealer(log, db, nil) // a server runs sealer.Run(ctx)
	return &app{db: db, log: log, sealer: sealer, close: both(db, store)}, err
}

// endregion

// openPostgres sets a fresh database up with the owner's login, then works with
// the two logins that Setup made.
func openPostgres(ctx context.Context, dir, owner string) (*app, error) {
	own, _ := fs.Sub(migrations, "migrations/postgres") // the path is a constant
	opts := postgres.SetupOptions{Migrations: own, Lines: []tenancy.Line{audit.Line()}}
	logins, err := postgres.Setup(ctx, owner, &opts)
	if err != nil {
		return nil, err
	}
	root, err := rootKey(filepath.Join(dir, "root.key"))
	if err != nil {
		return nil, err
	}
	store, err := postgres.OpenKeystore(ctx, logins.Library)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return nil, err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return nil, err
	}
	weak, err := unclosed(ctx, owner)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	db, err := postgres.Open(ctx, logins, schema, keys, log, &postgres.Options{SetupOptions: opts, Unsafe: weak})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	sealer, err := audit.NewSealer(log, db, nil)
	return &app{db: db, log: log, sealer: sealer, close: both(db, store)}, err
}
