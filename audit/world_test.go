package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject"            db:"id"`
	Tenant tenancy.ID              `art32:"tenant"                 db:"tenant_id"`
	Email  field.Encrypted[string] `art32:"index=email_bidx:email" db:"email"`
	City   string                  `art32:"personal"               db:"city"`
	Plan   string                  `art32:"open"                   db:"plan"`
}

var customers = tenancy.MustRepository[customer]("customers")

// world is a database with a log and two tenants, on one of the engines.
type world struct {
	engine string
	dir    string // SQLite: of the data
	owner  string // PostgreSQL: the owner's DSN
	logins postgres.Logins
	root   string // key file
	keys   *keyring.Ring
	log    *audit.Log
	db     *tenancy.DB
	sealer *audit.Sealer
	logged *bytes.Buffer
	a, b   tenancy.ID
}

// onBoth runs fn as a subtest on each engine.
func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			fn(t, newWorld(t, engine))
		})
	}
}

func newWorld(tb testing.TB, engine string) *world {
	tb.Helper()
	w := &world{engine: engine, dir: filepath.Join(tb.TempDir(), "data"), root: filepath.Join(tb.TempDir(), "root.key")}
	must(tb, keyring.CreateKeyFile(w.root))
	if engine == "postgres" {
		w.owner = dbtest.Postgres(tb)
	}
	w.open(tb)
	for _, id := range []*tenancy.ID{&w.a, &w.b} {
		made, err := w.db.CreateTenant(w.as(tb.Context()), tenancy.Tenant{Name: "Tenant"})
		must(tb, err)
		*id = made.ID
	}
	return w
}

func (w *world) migrations() fs.FS {
	text := `CREATE TABLE customers (
		id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL,
		PRIMARY KEY (tenant_id, id))`
	if w.engine == "postgres" {
		text = strings.NewReplacer("id TEXT", "id uuid", "BLOB", "bytea").Replace(text) + "; SELECT art32.protect('customers')"
	}
	return fstest.MapFS{"0001_customers.sql": {Data: []byte(text)}}
}

// open opens the database; the world's directory, key file or DSN exist.
func (w *world) open(tb testing.TB) {
	tb.Helper()
	ctx := tb.Context()
	root, err := keyring.KeyFile(w.root)
	must(tb, err)
	w.logged = &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(w.logged, nil))
	log := func(store keyring.Store) {
		w.keys, err = keyring.New(root, store, nil)
		must(tb, err)
		w.log, err = audit.New(w.keys, &audit.Options{Logger: logger})
		must(tb, err)
	}
	schema := tenancy.Schema{customers}
	if w.engine == "sqlite" {
		store, err := sqlite.OpenKeystore(ctx, filepath.Join(filepath.Dir(w.dir), "keys"))
		must(tb, err)
		tb.Cleanup(func() { _ = store.Close() })
		log(store)
		w.db, err = sqlite.Open(ctx, w.dir, schema, w.keys, w.log, &sqlite.Options{Migrations: w.migrations(), Logger: logger})
		must(tb, err)
	} else {
		w.openPostgres(tb, log, schema)
	}
	tb.Cleanup(func() { _ = w.db.Close() })
	w.sealer, err = audit.NewSealer(w.log, w.db, &audit.SealerOptions{Logger: logger})
	must(tb, err)
}

func (w *world) openPostgres(tb testing.TB, log func(keyring.Store), schema tenancy.Schema) {
	tb.Helper()
	ctx := tb.Context()
	setup := postgres.SetupOptions{Migrations: w.migrations(), Lines: []tenancy.Line{audit.Line()}}
	if w.logins == (postgres.Logins{}) {
		var err error
		w.logins, err = postgres.Setup(ctx, w.owner, &setup)
		must(tb, err)
	}
	store, err := postgres.OpenKeystore(ctx, w.logins.Library)
	must(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	log(store)
	w.db, err = postgres.Open(ctx, w.logins, schema, w.keys, w.log, &postgres.Options{SetupOptions: setup})
	must(tb, err)
}

// as is a context in which a person acts with a reason.
func (w *world) as(ctx context.Context) context.Context {
	ctx = tenancy.WithActor(ctx, tenancy.Person(uuid.MustParse("6f9619ff-8b86-4d11-b42d-00c04fc964ff")))
	ctx = tenancy.WithSession(ctx, "session-1")
	return tenancy.WithReason(ctx, "Anruf von Frau Grünwald")
}

// in is a context of tenant id.
func (w *world) in(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(w.as(ctx), id)
}

// customers adds n customers to tenant a, an event each.
func (w *world) customers(tb testing.TB, n int) []*customer {
	tb.Helper()
	all := make([]*customer, n)
	for i := range all {
		all[i] = &customer{Email: field.New("petra.gruenwald@example.org"), City: "Xanten-Zweitort", Plan: "basic"}
		must(tb, customers.Insert(w.in(tb.Context(), w.a), w.db, all[i]))
	}
	return all
}

func (w *world) seal(tb testing.TB) int {
	tb.Helper()
	n, err := w.sealer.SealDue(tb.Context())
	must(tb, err)
	return n
}

// sealed is a world with n sealed events in the log of tenant a.
func (w *world) sealed(tb testing.TB, n int) []*customer {
	tb.Helper()
	all := w.customers(tb, n)
	w.seal(tb)
	w.wantOK(tb, nil)
	return all
}

func (w *world) verify(tb testing.TB, o *audit.VerifyOptions) *audit.Report {
	tb.Helper()
	r, err := audit.Verify(tb.Context(), w.db, w.a, o)
	must(tb, err)
	return r
}

func (w *world) wantOK(tb testing.TB, o *audit.VerifyOptions) *audit.Report {
	tb.Helper()
	r := w.verify(tb, o)
	if !r.OK() {
		tb.Fatalf("not OK: %+v", r)
	}
	return r
}

// raw runs SQL past all protection, as an administrator of the database would.
func (w *world) raw(tb testing.TB, texts ...string) {
	tb.Helper()
	w.rawOn(tb, w.rawDB(tb), w.a, texts...)
}

// rawPlatform is raw on the rows of the platform.
func (w *world) rawPlatform(tb testing.TB, texts ...string) {
	tb.Helper()
	db := w.rawDB(tb)
	if w.engine == "sqlite" {
		must(tb, db.Close())
		var err error
		db, err = sql.Open("sqlite", filepath.Join(w.dir, "platform.db")+"?_pragma=busy_timeout(5000)")
		must(tb, err)
	}
	w.rawOn(tb, db, tenancy.ID{}, texts...)
}

func (w *world) rawOn(tb testing.TB, db *sql.DB, tenant tenancy.ID, texts ...string) {
	tb.Helper()
	defer db.Close()
	db.SetMaxOpenConns(1) // a PRAGMA holds for its connection
	for _, text := range texts {
		if w.engine == "sqlite" {
			text = strings.ReplaceAll(text, "art32.", "art32_")
		}
		text = strings.ReplaceAll(text, "TENANT", "'"+tenant.String()+"'")
		if _, err := db.ExecContext(tb.Context(), text); err != nil {
			tb.Fatalf("%s: %v", text, err)
		}
	}
}

func (w *world) rawDB(tb testing.TB) *sql.DB {
	tb.Helper()
	if w.engine == "postgres" {
		db, err := sql.Open("pgx", w.owner)
		must(tb, err)
		return db
	}
	db, err := sql.Open("sqlite", w.file(tb)+"?_pragma=busy_timeout(5000)")
	must(tb, err)
	return db
}

// file is the SQLite file of tenant a.
func (w *world) file(tb testing.TB) string {
	tb.Helper()
	var found string
	must(tb, filepath.WalkDir(w.dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), w.a.String()) && strings.HasSuffix(path, ".db") {
			found = path
		}
		return err
	}))
	if found == "" {
		tb.Fatal("no file of the tenant")
	}
	return found
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("got error %v, want %v", err, want)
	}
}

func readAll(tb testing.TB, dir string) []byte {
	tb.Helper()
	var all []byte
	must(tb, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, b...)
		return err
	}))
	return all
}
