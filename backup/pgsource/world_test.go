package pgsource_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject"            db:"id"`
	Tenant tenancy.ID              `art32:"tenant"                 db:"tenant_id"`
	Email  field.Encrypted[string] `art32:"index=email_bidx:email" db:"email"`
	City   string                  `art32:"personal"               db:"city"`
	Plan   string                  `art32:"open"                   db:"plan"`
}

type ticket struct {
	ID       uuid.UUID  `art32:"key"      db:"id"`
	Tenant   tenancy.ID `art32:"tenant"   db:"tenant_id"`
	Customer uuid.UUID  `art32:"subject"  db:"customer"`
	Title    string     `art32:"personal" db:"title"`
}

var (
	customers     = tenancy.MustRepository[customer]("customers")
	customerEmail = tenancy.MustColumn[string](customers, "email")
	tickets       = tenancy.MustRepository[ticket]("tickets")
	schema        = tenancy.Schema{customers, tickets}
	lines         = []tenancy.Line{audit.Line()}
)

func appFiles() fs.FS { return os.DirFS("testdata/app") }

// world is a database with a log and tenants.
type world struct {
	owner   string
	logins  postgres.Logins
	keyFile string // of the root; "" where root is given
	root    keyring.Wrapper
	keys    *keyring.Ring
	log     *audit.Log
	db      *tenancy.DB
	a, b    tenancy.ID
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{owner: dbtest.Postgres(tb), keyFile: filepath.Join(tb.TempDir(), "root.key")}
	must(tb, keyring.CreateKeyFile(w.keyFile))
	var err error
	w.logins, err = postgres.Setup(tb.Context(), w.owner, &postgres.SetupOptions{Migrations: appFiles(), Lines: lines})
	must(tb, err)
	w.open(tb)
	w.a, w.b = w.tenant(tb), w.tenant(tb)
	return w
}

func (w *world) open(tb testing.TB) {
	tb.Helper()
	store, err := postgres.OpenKeystore(tb.Context(), w.logins.Library)
	must(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	if w.keyFile != "" {
		w.root, err = keyring.KeyFile(w.keyFile)
		must(tb, err)
	}
	w.keys, err = keyring.New(w.root, store, nil)
	must(tb, err)
	w.log, err = audit.New(w.keys, nil)
	must(tb, err)
	w.db, err = postgres.Open(tb.Context(), w.logins, schema, w.keys, w.log,
		&postgres.Options{SetupOptions: postgres.SetupOptions{Migrations: appFiles()}})
	must(tb, err)
	tb.Cleanup(func() { _ = w.db.Close() })
}

func as(ctx context.Context) context.Context {
	return tenancy.WithActor(ctx, tenancy.MustService("test"))
}

func in(ctx context.Context, id tenancy.ID) context.Context { return tenancy.WithTenant(as(ctx), id) }

func (w *world) tenant(tb testing.TB) tenancy.ID {
	tb.Helper()
	t, err := w.db.CreateTenant(as(tb.Context()), tenancy.Tenant{Name: "Tenant"})
	must(tb, err)
	return t.ID
}

// customer inserts one with a ticket.
func (w *world) customer(tb testing.TB, id tenancy.ID, email string) *customer {
	tb.Helper()
	c := &customer{Email: field.New(email), City: "Köln", Plan: "basic"}
	must(tb, customers.Insert(in(tb.Context(), id), w.db, c))
	must(tb, tickets.Insert(in(tb.Context(), id), w.db, &ticket{Customer: c.ID, Title: "Ticket of " + email}))
	return c
}

// admin is a superuser's handle.
func admin(tb testing.TB, dsn string) *sqlx.DB {
	tb.Helper()
	db, err := sqlx.Open("pgx", dsn)
	must(tb, err)
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// role is the name of a login.
func role(tb testing.TB, dsn string) string {
	tb.Helper()
	u, err := url.Parse(dsn)
	must(tb, err)
	return u.User.Username()
}

func (w *world) source(tb testing.TB, o *pgsource.Options) backup.Source {
	tb.Helper()
	if o == nil {
		o = &pgsource.Options{Migrations: appFiles(), Lines: lines}
	}
	s, err := pgsource.New(w.logins.Backup, o)
	must(tb, err)
	return s
}

// run takes a backup into memory.
func (w *world) run(tb testing.TB, o *pgsource.Options) *taken {
	tb.Helper()
	snap, err := w.source(tb, o).Snapshot(tb.Context())
	must(tb, err)
	defer snap.Close()
	return take(tb, snap)
}

// file is a file of a part.
type file struct {
	name string
	text []byte
}

// taken is a backup in memory, and the sink that takes it.
type taken struct {
	keystore []file
	parts    map[tenancy.ID][]file
	tables   map[tenancy.ID][]backup.Table
	tenants  []tenancy.ID
	excluded []backup.Excluded
}

func take(tb testing.TB, snap backup.Snapshot) *taken {
	tb.Helper()
	got := &taken{
		parts: make(map[tenancy.ID][]file), tables: make(map[tenancy.ID][]backup.Table),
		tenants: snap.Tenants(), excluded: snap.Excluded(),
	}
	must(tb, snap.Write(tb.Context(), got))
	must(tb, snap.Keystore(tb.Context(), func(name string, size int64, r io.Reader) error {
		f, err := readFile(name, size, r)
		got.keystore = append(got.keystore, f)
		return err
	}))
	return got
}

func readFile(name string, size int64, r io.Reader) (file, error) {
	text, err := io.ReadAll(r)
	if err == nil && int64(len(text)) != size {
		err = fmt.Errorf("%s has %d bytes, not %d", name, len(text), size)
	}
	return file{name, text}, err
}

func (k *taken) File(_ context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error {
	f, err := readFile(name, size, r)
	k.parts[tenant] = append(k.parts[tenant], f)
	return err
}

func (k *taken) Table(tenant tenancy.ID, t backup.Table) {
	k.tables[tenant] = append(k.tables[tenant], t)
}

// rows are the lines of a table in a part.
func (k *taken) rows(tenant tenancy.ID, folder string) (out []string) {
	for _, f := range k.parts[tenant] {
		if strings.HasPrefix(f.name, "data/"+folder+"/") {
			out = append(out, strings.Split(strings.TrimSuffix(string(f.text), "\n"), "\n")...)
		}
	}
	return out
}

// script is the text of a file of what tenants share.
func (k *taken) script(name string) string {
	for _, f := range k.parts[tenancy.ID{}] {
		if f.name == name {
			return string(f.text)
		}
	}
	return ""
}

func into(tb testing.TB, dsn string) *pgsource.Destination {
	tb.Helper()
	d, err := pgsource.Into(dsn, &pgsource.IntoOptions{Migrations: appFiles(), Lines: lines, Temp: tb.TempDir()})
	must(tb, err)
	return d
}

// feed gives a destination all files, up to Loaded.
func (k *taken) feed(ctx context.Context, d backup.Destination) (map[tenancy.ID][]backup.Table, error) {
	if err := d.Begin(ctx); err != nil {
		return nil, err
	}
	return k.load(ctx, d)
}

// load gives a destination that has begun all files, up to Loaded.
func (k *taken) load(ctx context.Context, d backup.Destination) (map[tenancy.ID][]backup.Table, error) {
	for _, f := range k.keystore {
		if err := d.Keystore(ctx, f.name, int64(len(f.text)), bytes.NewReader(f.text)); err != nil {
			return nil, err
		}
	}
	for _, id := range append([]tenancy.ID{{}}, k.tenants...) {
		for _, f := range k.parts[id] {
			if err := d.File(ctx, id, f.name, int64(len(f.text)), bytes.NewReader(f.text)); err != nil {
				return nil, err
			}
		}
	}
	return d.Loaded(ctx)
}

// restored is the world in another database.
func (w *world) restored(tb testing.TB, k *taken) *world {
	tb.Helper()
	r := &world{owner: dbtest.Postgres(tb), root: w.root, a: w.a, b: w.b}
	d := into(tb, r.owner)
	tables, err := k.feed(tb.Context(), d)
	must(tb, err)
	same(tb, k.tables, tables)
	opened, err := d.Open(tb.Context(), w.root, newLog)
	must(tb, err)
	must(tb, opened.Close())
	if d.Logins() != (postgres.Logins{}) {
		tb.Error("the logins are known before the restore is finished")
	}
	must(tb, d.Finish(tb.Context()))
	r.logins = d.Logins()
	r.open(tb)
	return r
}

func newLog(keys *keyring.Ring) (tenancy.ChangeRecorder, error) {
	return audit.New(keys, &audit.Options{Logger: slog.New(slog.DiscardHandler)})
}
