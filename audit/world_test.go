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

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject"            db:"id"`
	Tenant tenancy.ID              `art32:"tenant"                 db:"tenant_id"`
	Email  field.Encrypted[string] `art32:"index=email_bidx:email" db:"email"`
	City   string                  `art32:"personal"               db:"city"`
	Plan   string                  `art32:"open"                   db:"plan"`
}

var customers = tenancy.MustRepository[customer]("customers")

// visit is a row of whose table the log keeps who reads it.
type visit struct {
	ID      uuid.UUID               `art32:"key"          db:"id"`
	Tenant  tenancy.ID              `art32:"tenant,reads" db:"tenant_id"`
	Patient uuid.UUID               `art32:"subject"      db:"patient_id"`
	Finding field.Encrypted[string] `art32:"index=finding_bidx:exact,rows=16" db:"finding"`
	Room    string                  `art32:"open"         db:"room"`
}

var (
	visits       = tenancy.MustRepository[visit]("visits")
	visitRoom    = tenancy.MustColumn[string](visits, "room")
	visitFinding = tenancy.MustColumn[string](visits, "finding")
)

var schema = tenancy.Schema{customers, visits}

// world is a database with a log and two tenants, on one of the engines.
type world struct {
	*tenancytest.World

	engine string
	keys   *keyring.Ring
	log    *audit.Log
	db     *tenancy.DB
	sealer *audit.Sealer
	logged *bytes.Buffer
	a, b   tenancy.ID
	files  fs.FS // the application's migrations, where a test needs them again
}

// onBoth runs fn as a subtest on each engine.
func onBoth(t *testing.T, fn func(t *testing.T, w *world), classes ...audit.Class) {
	t.Helper()
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			fn(t, newWorld(t, engine, classes...))
		})
	}
}

func newWorld(tb testing.TB, engine string, classes ...audit.Class) *world {
	tb.Helper()
	w := &world{logged: &bytes.Buffer{}}
	o := w.options(engine)
	o.Classes = classes
	w.take(tenancytest.New(tb, schema, o))
	return w
}

// openWorld opens a world that another process, or this one, has made.
func openWorld(tb testing.TB, at tenancytest.Place) *world {
	tb.Helper()
	w := &world{logged: &bytes.Buffer{}}
	w.take(tenancytest.Open(tb, schema, at, w.options(at.Engine)))
	return w
}

func (w *world) take(from *tenancytest.World) {
	w.World, w.engine, w.a, w.b = from, from.Engine, from.A, from.B
	w.keys, w.log, w.db, w.sealer = from.Keys, from.Log, from.DB, from.Sealer
}

func (w *world) options(engine string) *tenancytest.Options {
	return &tenancytest.Options{
		Engine: engine, Migrations: migrations(engine), Logger: slog.New(slog.NewTextHandler(w.logged, nil)),
	}
}

func migrations(engine string) fs.FS {
	text := `CREATE TABLE customers (
		id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL,
		PRIMARY KEY (tenant_id, id));
	CREATE TABLE visits (
		id TEXT NOT NULL, tenant_id TEXT NOT NULL, patient_id TEXT NOT NULL, finding BLOB, finding_bidx BLOB, room TEXT NOT NULL,
		PRIMARY KEY (tenant_id, id))`
	if engine == tenancytest.Postgres {
		text = strings.NewReplacer("id TEXT", "id uuid", "BLOB", "bytea").Replace(text) + "; SELECT art32.protect('customers'), art32.protect('visits')"
	}
	return fstest.MapFS{"0001_customers.sql": {Data: []byte(text)}}
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
	w.rawOn(tb, w.a, texts...)
}

// rawPlatform is raw on the rows of the platform.
func (w *world) rawPlatform(tb testing.TB, texts ...string) {
	tb.Helper()
	w.rawOn(tb, tenancy.ID{}, texts...)
}

func (w *world) rawOn(tb testing.TB, tenant tenancy.ID, texts ...string) {
	tb.Helper()
	db := w.Raw(tb, tenant)
	defer db.Close()
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
	return w.Raw(tb, w.a)
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
