package tenancy_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// member has a narrow index and a unique one.
type member struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"unique=email_bidx:email"`
	Name   field.Encrypted[string] `db:"name"      art32:"index=name_bidx:casefold"`
	Score  field.Encrypted[int64]  `db:"score"`
	Plan   string                  `db:"plan"      art32:"open"`
}

// note is about a member.
type note struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Member uuid.UUID               `db:"member_id" art32:"subject"`
	Text   field.Encrypted[string] `db:"text"`
}

// device is about nobody.
type device struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Pin    field.Encrypted[string] `db:"pin"       art32:"index=pin_bidx:digits,rows=1000"`
}

var (
	members     = tenancy.MustRepository[member]("members")
	memberEmail = tenancy.MustColumn[string](members, "email")
	memberName  = tenancy.MustColumn[string](members, "name")
	notes       = tenancy.MustRepository[note]("notes")
	devices     = tenancy.MustRepository[device]("devices")
	devicePin   = tenancy.MustColumn[string](devices, "pin")
	club        = tenancy.Schema{members, notes, devices}
)

const clubPostgres = `
CREATE TABLE members (tenant_id uuid NOT NULL, id uuid NOT NULL, email bytea, email_bidx bytea, name bytea, name_bidx bytea,
	score bytea, plan text NOT NULL, PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email_bidx));
CREATE TABLE notes (tenant_id uuid NOT NULL, id uuid NOT NULL, member_id uuid NOT NULL, text bytea, PRIMARY KEY (tenant_id, id));
CREATE TABLE devices (tenant_id uuid NOT NULL, id uuid NOT NULL, pin bytea, pin_bidx bytea, PRIMARY KEY (tenant_id, id));
SELECT art32.protect('members'), art32.protect('notes'), art32.protect('devices');`

const clubSQLite = `
CREATE TABLE members (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, email BLOB, email_bidx BLOB UNIQUE, name BLOB, name_bidx BLOB,
	score BLOB, plan TEXT NOT NULL);
CREATE TABLE notes (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, member_id TEXT NOT NULL, text BLOB);
CREATE TABLE devices (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, pin BLOB, pin_bidx BLOB);`

func clubMigrations() fs.FS {
	return fstest.MapFS{
		"sqlite/0001_club.sql":   {Data: []byte(clubSQLite)},
		"postgres/0001_club.sql": {Data: []byte(clubPostgres)},
	}
}

// clubWorld is a database with one more instance than the kit's: one whose keys
// are short-lived, so that a rotation takes no minutes.
type clubWorld struct {
	*tenancytest.World
	*instance

	ctx context.Context //nolint:containedctx // of the tenant A
}

// instance is a program on the database.
type instance struct {
	db   *tenancy.DB
	keys *keyring.Ring
	log  *audit.Log
}

const shortTTL = 100 * time.Millisecond

func newClub(t testing.TB, engine string) *clubWorld {
	t.Helper()
	w := tenancytest.New(t, club, &tenancytest.Options{Engine: engine, Migrations: clubMigrations()})
	return &clubWorld{World: w, instance: instanceOf(t, w, club, w.Store), ctx: w.In(t, w.A)}
}

// instanceOf opens the world's database with a ring of its own.
func instanceOf(t testing.TB, w *tenancytest.World, schema tenancy.Schema, store keyring.Store) *instance {
	t.Helper()
	i, err := openInstance(t.Context(), w.Place, schema, store)
	must(t, err)
	t.Cleanup(func() { _ = i.db.Close() })
	return i
}

func openInstance(ctx context.Context, at tenancytest.Place, schema tenancy.Schema, store keyring.Store) (*instance, error) {
	root, err := keyring.KeyFile(at.KeyFile)
	if err != nil {
		return nil, err
	}
	i := &instance{}
	if i.keys, err = keyring.New(root, store, &keyring.Options{TTL: shortTTL, Grace: shortTTL}); err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	if i.log, err = audit.New(i.keys, &audit.Options{Logger: quiet}); err != nil {
		return nil, err
	}
	lines := []tenancy.Line{audit.Line()}
	if at.Engine == tenancytest.SQLite {
		i.db, err = sqlite.Open(ctx, at.Dir, schema, i.keys, i.log, &sqlite.Options{Migrations: clubMigrations(), Logger: quiet})
	} else {
		setup := postgres.SetupOptions{Migrations: clubMigrations(), Lines: lines}
		i.db, err = postgres.Open(ctx, at.Logins, schema, i.keys, i.log, &postgres.Options{SetupOptions: setup, Logger: quiet})
	}
	return i, err
}

// eachClub runs fn on both engines.
func eachClub(t *testing.T, fn func(t *testing.T, w *clubWorld)) {
	t.Helper()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			fn(t, newClub(t, engine))
		})
	}
}

// join adds members with a note each.
func (w *clubWorld) join(t testing.TB, names ...string) []member {
	t.Helper()
	out := make([]member, len(names))
	for i, name := range names {
		out[i] = member{Email: field.New(strings.ToLower(name) + "@example.org"), Name: field.New(name), Score: field.New(int64(i)), Plan: "free"}
		must(t, members.Insert(w.ctx, w.db, &out[i]))
		must(t, notes.Insert(w.ctx, w.db, &note{Member: out[i].ID, Text: field.New("to " + name)}))
	}
	return out
}

// rotate gives the keys of a kind a successor, and waits until it seals.
func (w *clubWorld) rotate(t testing.TB, kinds ...keyring.Kind) {
	t.Helper()
	for _, kind := range kinds {
		r, err := w.keys.Rotate(w.ctx, w.A.UUID(), kind, time.Now(), nil)
		must(t, err)
		if r.Left != 0 || r.Retired == 0 {
			t.Fatalf("rotation of %s: %+v", kind, r)
		}
	}
}

// reseal runs until everything lies under the newest versions.
func (w *clubWorld) reseal(t testing.TB) tenancy.KeyReport {
	t.Helper()
	var sum tenancy.KeyReport
	for {
		r, err := w.db.Reseal(w.ctx, nil)
		must(t, err)
		r.Resealed, r.Reindexed = r.Resealed+sum.Resealed, r.Reindexed+sum.Reindexed
		if sum = r; r.Complete() {
			return sum
		}
		if r.Broken() > 0 {
			t.Fatalf("broken: %+v", r)
		}
	}
}

// settled waits until grace is over and all that can be is destroyed.
func (w *clubWorld) settled(t testing.TB, elsewhere ...tenancy.SealedCounter) tenancy.KeyReport {
	t.Helper()
	for destroyed := 0; ; {
		r, err := w.db.DestroyRetired(w.ctx, elsewhere...)
		must(t, err)
		if destroyed += r.Destroyed; r.Waiting == 0 {
			r.Destroyed = destroyed
			return r
		}
	}
}

// forget takes the payloads out of the log, as if their time were over: while
// they are there the versions that they name stay.
func (w *clubWorld) forget(t testing.TB) {
	t.Helper()
	w.raw(t, "UPDATE "+w.control("event_parts")+" SET ciphertext = NULL, subject = NULL WHERE subject IS NOT NULL")
}

// control is the name of a table of the library.
func (w *clubWorld) control(name string) string {
	if w.Engine == tenancytest.SQLite {
		return "art32_" + name
	}
	return "art32." + name
}

// raw runs a statement past all protection.
func (w *clubWorld) raw(t testing.TB, text string, args ...any) {
	t.Helper()
	w.exec(t, w.Raw(t, w.A), text, args...)
}

func (w *clubWorld) exec(t testing.TB, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// cell reads one value past all protection.
func (w *clubWorld) cell(t testing.TB, table, column string, id uuid.UUID) []byte {
	t.Helper()
	var b []byte
	text := "SELECT " + column + " FROM " + table + " WHERE id = $1"
	must(t, w.Raw(t, w.A).QueryRowContext(t.Context(), text, id.String()).Scan(&b))
	return b
}

// found looks a member up by both indexes.
func (i *instance) found(ctx context.Context, name string) (n int, err error) {
	a, err := members.Count(ctx, i.db, memberName.Eq(name))
	b, err2 := members.Count(ctx, i.db, memberEmail.Eq(strings.ToUpper(name)+"@Example.org"))
	return min(a, b), errors.Join(err, err2)
}

// readable reveals everything of a member.
func (i *instance) readable(ctx context.Context, m member) error {
	got, err := members.Get(ctx, i.db, m.ID)
	if err != nil {
		return err
	}
	want, _ := m.Name.Reveal()
	name, err := got.Name.Reveal()
	_, err2 := got.Email.Reveal()
	_, err3 := got.Score.Reveal()
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	if name != want {
		return errors.New("another name")
	}
	return nil
}

// columnOf finds a column in a report.
func columnOf(t testing.TB, r tenancy.KeyReport, table, column string) tenancy.ColumnKeys {
	t.Helper()
	for _, x := range r.Tables {
		for _, c := range x.Columns {
			if x.Table == table && c.Column == column {
				return c
			}
		}
	}
	t.Fatalf("no column %s.%s in %+v", table, column, r)
	return tenancy.ColumnKeys{}
}
