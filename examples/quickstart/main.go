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

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/examples"
	"github.com/art32/art32/incident"
	"github.com/art32/art32/session/sqlstore"
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
	keys     *keyring.Ring
	store    keyring.Lister // the keystore
	log      *audit.Log
	db       *tenancy.DB
	recorder *audit.Recorder
	sealer   *audit.Sealer
	vault    *backup.Vault
	source   backup.Source
	close    func() error
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
	return (&story{app: a, out: out, csv: source, dir: dir, owner: *dsn, kept: *data != ""}).tell(ctx)
}

// lines are the tables of the packages in use beside tenancy.
func lines() []tenancy.Line {
	return []tenancy.Line{audit.Line(), sqlstore.Line(), incident.Line()}
}

// region wiring

// openSQLite opens everything in one folder.
func openSQLite(ctx context.Context, dir string) (*app, error) {
	store, err := sqlite.OpenKeystore(ctx, dir)
	if err != nil {
		return nil, err
	}
	a, err := prepare(ctx, dir, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	own, _ := fs.Sub(migrations, "migrations/sqlite") // the path is a constant
	a.db, err = sqlite.Open(ctx, dir, schema, a.keys, a.log, &sqlite.Options{
		Migrations: own, Lines: lines(), Ledger: a.vault.Ledger(),
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.source = sqlitesource.New(dir, nil)
	return a, a.finish(store)
}

// endregion

// openPostgres sets a fresh database up with the owner's login, then works with
// the logins that Setup made.
func openPostgres(ctx context.Context, dir, owner string) (*app, error) {
	own, _ := fs.Sub(migrations, "migrations/postgres") // the path is a constant
	opts := postgres.SetupOptions{Migrations: own, Lines: lines()}
	logins, err := postgres.Setup(ctx, owner, &opts)
	if err != nil {
		return nil, err
	}
	store, err := postgres.OpenKeystore(ctx, logins.Library)
	if err != nil {
		return nil, err
	}
	a, err := prepare(ctx, dir, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	weak, err := unclosed(ctx, owner)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.db, err = postgres.Open(ctx, logins, schema, a.keys, a.log, &postgres.Options{
		SetupOptions: opts, Ledger: a.vault.Ledger(), Unsafe: weak,
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	a.source, err = pgsource.New(logins.Backup, &pgsource.Options{Migrations: own, Lines: lines()})
	if err != nil {
		return nil, errors.Join(err, a.db.Close(), store.Close())
	}
	return a, a.finish(store)
}
