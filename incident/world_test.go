package incident_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	_ "time/tzdata" // the tests know their zones

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/incidenttest"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject" db:"id"`
	Tenant tenancy.ID              `art32:"tenant"      db:"tenant_id"`
	Email  field.Encrypted[string] `db:"email"`
	City   string                  `art32:"personal"    db:"city"`
	Plan   string                  `art32:"open"        db:"plan"`
}

type ticket struct {
	ID       uuid.UUID               `art32:"key"     db:"id"`
	Tenant   tenancy.ID              `art32:"tenant"  db:"tenant_id"`
	Customer uuid.UUID               `art32:"subject" db:"customer_id"`
	Text     field.Encrypted[string] `db:"text"`
}

// visit holds personal data, and names no data subject.
type visit struct {
	ID      uuid.UUID  `art32:"key"      db:"id"`
	Tenant  tenancy.ID `art32:"tenant"   db:"tenant_id"`
	Address string     `art32:"personal" db:"address"`
}

var (
	visits    = tenancy.MustRepository[visit]("visits")
	customers = tenancy.MustRepository[customer]("customers")
	tickets   = tenancy.MustRepository[ticket]("tickets")

	operator = tenancy.Person(uuid.MustParse("6f9619ff-8b86-4d11-b42d-00c04fc964ff"))
	intruder = tenancy.MustService("intruder")
	vendor   = incident.Vendor{Name: "Beispiel Software", Contact: "Erika Muster", Mail: "datenschutz@vendor.example", Phone: "+49 30 1234"}
)

// place is where a world lives; another process can open it too.
type place struct {
	Engine string
	Dir    string // of data, keys and root key
	Logins postgres.Logins
}

// world is a database with a log, a desk and two tenants, on one of the engines.
type world struct {
	place

	owner    string // PostgreSQL: the owner's DSN
	db       *tenancy.DB
	keys     *keyring.Ring
	log      *audit.Log
	desk     *incident.Desk
	notifier *incidenttest.Notifier
	logged   *bytes.Buffer
	closers  []func() error
	a, b     tenancy.ID
}

// onBoth runs fn as a subtest on each engine.
func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-9.2")
			fn(t, newWorld(t, engine))
		})
	}
}

func newWorld(tb testing.TB, engine string) *world {
	tb.Helper()
	w := &world{place: place{Engine: engine, Dir: tb.TempDir()}}
	must(tb, keyring.CreateKeyFile(filepath.Join(w.Dir, "root.key")))
	if engine == "postgres" {
		w.owner = dbtest.Postgres(tb)
		var err error
		w.Logins, err = postgres.Setup(tb.Context(), w.owner, setup())
		must(tb, err)
	}
	must(tb, w.open(tb.Context(), nil))
	tb.Cleanup(func() { must(tb, w.close()) })
	for _, t := range []struct {
		id   *tenancy.ID
		name string
	}{{&w.a, "Anton GmbH"}, {&w.b, "Berta KANARIENVOGEL AG"}} {
		made, err := w.db.CreateTenant(w.as(tb.Context()), tenancy.Tenant{Name: t.name})
		must(tb, err)
		*t.id = made.ID
	}
	return w
}

func schemaText(engine string) fs.FS {
	text := `CREATE TABLE customers (
		id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id));
		CREATE TABLE tickets (id TEXT NOT NULL, tenant_id TEXT NOT NULL, customer_id TEXT NOT NULL, text BLOB, PRIMARY KEY (tenant_id, id));
		CREATE TABLE visits (id TEXT NOT NULL, tenant_id TEXT NOT NULL, address TEXT NOT NULL, PRIMARY KEY (tenant_id, id));`
	if engine == "postgres" {
		text = strings.NewReplacer("id TEXT", "id uuid", "BLOB", "bytea").Replace(text) + "; SELECT art32.protect('customers'); SELECT art32.protect('tickets'); SELECT art32.protect('visits')"
	}
	return fstest.MapFS{"0001_rows.sql": {Data: []byte(text)}}
}

func setup() *postgres.SetupOptions {
	return &postgres.SetupOptions{Migrations: schemaText("postgres"), Lines: []tenancy.Line{audit.Line(), incident.Line()}}
}

// open opens the place with a desk whose choices are o, or that has one notifier
// that collects.
func (w *world) open(ctx context.Context, o *incident.Options) (err error) {
	root, err := keyring.KeyFile(filepath.Join(w.Dir, "root.key"))
	if err != nil {
		return err
	}
	schema := tenancy.Schema{customers, tickets, visits}
	log := func(store keyring.Store, err error) error {
		if err == nil {
			w.keys, err = keyring.New(root, store, nil)
		}
		if err == nil {
			w.log, err = audit.New(w.keys, nil)
		}
		return err
	}
	if w.Engine == "sqlite" {
		store, err := sqlite.OpenKeystore(ctx, filepath.Join(w.Dir, "keys"))
		if err := log(store, err); err != nil {
			return err
		}
		w.closers = append(w.closers, store.Close)
		w.db, err = sqlite.Open(ctx, filepath.Join(w.Dir, "data"), schema, w.keys, w.log,
			&sqlite.Options{Migrations: schemaText("sqlite"), Lines: []tenancy.Line{incident.Line()}})
		if err != nil {
			return err
		}
	} else {
		store, err := postgres.OpenKeystore(ctx, w.Logins.Library)
		if err := log(store, err); err != nil {
			return err
		}
		w.closers = append(w.closers, store.Close)
		w.db, err = postgres.Open(ctx, w.Logins, schema, w.keys, w.log, &postgres.Options{SetupOptions: *setup()})
		if err != nil {
			return err
		}
	}
	w.closers = append(w.closers, w.db.Close)
	w.logged = &bytes.Buffer{}
	w.desk, err = w.newDesk(o)
	return err
}

func (w *world) newDesk(o *incident.Options) (*incident.Desk, error) {
	if o == nil {
		w.notifier = &incidenttest.Notifier{}
		o = &incident.Options{Notifiers: map[string]incident.Notifier{"test": w.notifier}, AckURL: "https://vendor.example/incident/ack"}
	}
	o.Logger = slog.New(slog.NewTextHandler(w.logged, nil))
	recorder, err := audit.NewRecorder(w.log, w.db)
	if err != nil {
		return nil, err
	}
	return incident.New(w.db, w.keys, w.log, recorder, vendor, o)
}

func (w *world) close() (err error) {
	for _, c := range slices.Backward(w.closers) {
		err = errors.Join(err, c())
	}
	w.closers = nil
	return err
}

// as is a context in which the operator acts with a reason.
func (w *world) as(ctx context.Context) context.Context {
	return tenancy.WithReason(tenancy.WithActor(ctx, operator), "suspicious calls of the API")
}

// in is a context of tenant id.
func (w *world) in(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(w.as(ctx), id)
}

// contact sets a tenant's contact.
func (w *world) contact(tb testing.TB, id tenancy.ID, mail string) {
	tb.Helper()
	must(tb, w.desk.SetContact(w.in(tb.Context(), id), incident.Contact{Name: "Datenschutz " + mail[:1], Mail: mail}))
}

// contacts gives both tenants one.
func (w *world) contacts(tb testing.TB) {
	tb.Helper()
	w.contact(tb, w.a, "a@anton.example")
	w.contact(tb, w.b, "kanarienvogel@berta.example")
}

// people adds n customers to a tenant.
func (w *world) people(tb testing.TB, id tenancy.ID, n int) []*customer {
	tb.Helper()
	all := make([]*customer, n)
	for i := range all {
		all[i] = &customer{Email: field.New("kanarienvogel@example.org"), City: "Kanarienvogelstadt", Plan: "kanarienvogel"}
		must(tb, customers.Insert(w.in(tb.Context(), id), w.db, all[i]))
	}
	return all
}

// tamper changes customers as the intruder.
func (w *world) tamper(tb testing.TB, id tenancy.ID, people ...*customer) {
	tb.Helper()
	ctx := tenancy.WithActor(w.in(tb.Context(), id), intruder)
	for _, c := range people {
		must(tb, customers.Edit(ctx, w.db, c.ID, func(c *customer) error { c.Plan += "!"; return nil }))
	}
}

// report is one whose scope is what the intruder did to customers.
func report() incident.Report {
	return incident.Report{
		Aware: time.Now().Add(-time.Hour), Kind: incident.Confidentiality | incident.Integrity,
		Title: "Zugriff mit gestohlenem Schlüssel", Nature: "Ein Schlüssel der API wurde benutzt.\nEr ist gesperrt.",
		Scope: tenancy.TraceQuery{Actors: []string{intruder.String()}, Tables: []string{"customers"}},
	}
}

// attacked is a world in which the intruder changed two of three customers of
// tenant a, b has customers too, both have contacts, and a case is open.
func (w *world) attacked(tb testing.TB) incident.Case {
	tb.Helper()
	w.contacts(tb)
	people := w.people(tb, w.a, 3)
	w.people(tb, w.b, 5)
	w.tamper(tb, w.a, people[0], people[1], people[1])
	c, err := w.desk.Open(w.as(tb.Context()), report())
	must(tb, err)
	return c
}

func (w *world) seal(tb testing.TB) {
	tb.Helper()
	s, err := audit.NewSealer(w.log, w.db, nil)
	must(tb, err)
	_, err = s.SealDue(tb.Context())
	must(tb, err)
}

// status is that of the one case.
func (w *world) status(tb testing.TB) incident.CaseStatus {
	tb.Helper()
	all, err := w.desk.Status(tb.Context())
	must(tb, err)
	if len(all) != 1 {
		tb.Fatalf("%d cases", len(all))
	}
	return all[0]
}

// entries reads the actions of incidents in a log; the zero tenant is the platform.
func (w *world) entries(tb testing.TB, id tenancy.ID) (actions []string) {
	tb.Helper()
	for e, err := range w.log.Events(tenancy.WithTenant(tb.Context(), id), w.db, audit.Filter{Platform: id.IsZero()}) {
		must(tb, err)
		if strings.HasPrefix(e.Action, "incident.") {
			actions = append(actions, e.Action)
		}
	}
	return actions
}

// raw opens the platform's database past all protection.
func (w *world) raw(tb testing.TB) *sql.DB {
	tb.Helper()
	return w.rawFile(tb, "platform.db")
}

// cut removes from a tenant's log what the intruder did, all of it or all but one
// event.
func (w *world) cut(tb testing.TB, id tenancy.ID, all bool) {
	tb.Helper()
	from := " FROM " + w.table("events") + " WHERE tenant_id = '" + id.String() + "' AND actor = '" + intruder.String() + "'"
	query := "DELETE" + from
	if !all {
		query += " AND leaf <> (SELECT min(leaf)" + from + ")"
	}
	_, err := w.rawFile(tb, "tenants", id.String()+".db").ExecContext(tb.Context(), query)
	must(tb, err)
}

// rawFile is raw for one of SQLite's files.
func (w *world) rawFile(tb testing.TB, path ...string) *sql.DB {
	tb.Helper()
	driver, dsn := "pgx", w.owner
	if w.Engine == "sqlite" {
		driver, dsn = "sqlite", filepath.Join(append([]string{w.Dir, "data"}, path...)...)+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func (w *world) table(name string) string {
	if w.Engine == "sqlite" {
		return "art32_" + name
	}
	return "art32." + name
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

// broken is a recorder that cannot write.
type broken struct{}

func (broken) Record(context.Context, string, ...slog.Attr) error { return errors.New("disk full") }
