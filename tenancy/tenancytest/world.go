package tenancytest

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// The engines of [Options].Engine.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Engine is SQLite or Postgres. Default: SQLite.
	Engine string
	// Migrations are the application's own, as it hands them to the engines: files
	// 0001_name.sql at the root, or in the folders sqlite and postgres where it
	// serves both. Default: none.
	Migrations fs.FS
	// Lines are those of the library's other packages that the test needs. That of
	// the log need not be named. Default: none.
	Lines []tenancy.Line
	// Fill inserts at least one row into each table for the tenant of ctx, through
	// c; each call adds rows. [Cases] calls it. Default: rows made from the types
	// of the columns, all about one data subject; that does not do where a
	// constraint wants more than a type.
	Fill func(ctx context.Context, c tenancy.Conn) error
	// Keyring are the options of the keys, such as the copies of the keystore that
	// an erasure record names. Default: nil, as of [keyring.New].
	Keyring *keyring.Options
	// Ledger is told of erasures. Default: none.
	Ledger tenancy.ErasureLedger
	// Names are those of the two tenants. Default: "Tenant A", "Tenant B".
	Names [2]string
	// Classes are the log's policies. Default: none but the library's.
	Classes []audit.Class
	// Logger receives what an operator would read. Default: it is thrown away.
	Logger *slog.Logger
}

// Place says where a [World] lies: what another process needs to open it. It
// survives encoding as JSON, and holds the passwords of a throw-away database.
type Place struct {
	Engine  string          // SQLite or Postgres
	KeyFile string          // the root key
	KeysDir string          // SQLite: the folder of the keystore
	Dir     string          // SQLite: the folder of the data
	Owner   string          // PostgreSQL: the URL of the owner, a superuser
	Logins  postgres.Logins // PostgreSQL: what Setup returned
	A, B    tenancy.ID      // the two tenants
}

// Keystore is a keystore that can be listed.
type Keystore interface {
	keyring.Store
	keyring.Lister
}

// World is a database for a test: open, with keys, a log, somebody who acts and
// two tenants. Its fields may be replaced to break it.
type World struct {
	Place

	DB       *tenancy.DB     // opened with the schema, the keys and the log
	Keys     *keyring.Ring   // over Store
	Store    Keystore        // of the engine
	Log      *audit.Log      // a real one
	Recorder *audit.Recorder // for packages that leave a trace
	Sealer   *audit.Sealer   // started by nobody; see [World.Seal]
	Actor    tenancy.Actor   // "service:test"

	schema  tenancy.Schema
	options Options
	filled  atomic.Int64 // numbers the rows that are made
}

// New makes a database of its own for tb, which is gone when tb ends. A failure
// ends the test. On SQLite it works in a bubble of testing/synctest. On
// PostgreSQL it takes the server of the environment or starts one, see the
// package; further databases of a process with the same migrations are copies.
func New(tb testing.TB, schema tenancy.Schema, o *Options) *World {
	tb.Helper()
	opts := o.orDefault()
	dir := tb.TempDir()
	p := Place{Engine: opts.Engine, KeyFile: filepath.Join(dir, "root.key")}
	check(tb, keyring.CreateKeyFile(p.KeyFile))
	switch p.Engine {
	case SQLite:
		p.KeysDir, p.Dir = filepath.Join(dir, "keys"), filepath.Join(dir, "data")
	case Postgres:
		p.Owner, p.Logins = setUp(tb, &opts)
	default:
		tb.Fatalf("tenancytest: engine %q is neither %q nor %q", p.Engine, SQLite, Postgres)
	}
	w := Open(tb, schema, p, &opts)
	for i, id := range []*tenancy.ID{&w.A, &w.B} {
		made, err := w.DB.CreateTenant(w.In(tb, tenancy.ID{}), tenancy.Tenant{Name: opts.Names[i]})
		check(tb, err)
		*id = made.ID
	}
	return w
}

func (o *Options) orDefault() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Engine == "" {
		out.Engine = SQLite
	}
	for i, name := range [2]string{"Tenant A", "Tenant B"} {
		if out.Names[i] == "" {
			out.Names[i] = name
		}
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

// Open opens what [New] made, as another process or a second instance of a
// program would: with keys and a log of its own.
func Open(tb testing.TB, schema tenancy.Schema, at Place, o *Options) *World {
	tb.Helper()
	w := &World{Place: at, Actor: tenancy.MustService("test"), schema: schema, options: o.orDefault()}
	root, err := keyring.KeyFile(w.KeyFile)
	check(tb, err)
	if w.Engine == Postgres {
		w.openPostgres(tb, root)
	} else {
		w.openSQLite(tb, root)
	}
	w.Recorder, err = audit.NewRecorder(w.Log, w.DB)
	check(tb, err)
	w.Sealer, err = audit.NewSealer(w.Log, w.DB, &audit.SealerOptions{Logger: w.options.Logger})
	check(tb, err)
	return w
}

// Reopen gives a second instance on the same database, whose keys are cold.
func (w *World) Reopen(tb testing.TB) *World {
	tb.Helper()
	return Open(tb, w.schema, w.Place, &w.options)
}

// Each runs fn on both engines, in the parallel subtests sqlite and postgres.
func Each(t *testing.T, schema tenancy.Schema, o *Options, fn func(t *testing.T, w *World)) {
	t.Helper()
	for _, engine := range []string{SQLite, Postgres} {
		opts := o.orDefault()
		opts.Engine = engine
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			fn(t, New(t, schema, &opts))
		})
	}
}

// In is a context of tb in which w.Actor acts for a tenant; for the zero ID it
// names none.
func (w *World) In(tb testing.TB, tenant tenancy.ID) context.Context {
	tb.Helper()
	return w.in(tb.Context(), tenant)
}

func (w *World) in(ctx context.Context, tenant tenancy.ID) context.Context {
	return tenancy.WithActor(tenancy.WithTenant(ctx, tenant), w.Actor)
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("tenancytest: %v", err)
	}
}
