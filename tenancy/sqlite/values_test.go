package sqlite_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

type (
	named  string
	number int16
	bytes  []byte
	yes    bool
)

// TestRoundTrip stores values of every kind and reads them back, by the
// library's own path and, for those that a struct of sqlx may hold, by raw SQL.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		tenant := w.tenant(t)
		at := time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC)
		id := uuid.New()
		text, n, when := "ä", int64(-5), at
		roundTrip(t, w, tenant, "Zoë 🦊", "Zoë 🦊")
		roundTrip(t, w, tenant, "", "")
		roundTrip(t, w, tenant, named("x"), named("x"))
		roundTrip(t, w, tenant, []byte{0, 1, 255}, []byte{0, 1, 255})
		roundTrip(t, w, tenant, bytes("b"), bytes("b"))
		roundTrip(t, w, tenant, []byte{}, []byte{})
		roundTrip(t, w, tenant, []byte(nil), []byte(nil))
		roundTrip(t, w, tenant, true, true)
		roundTrip(t, w, tenant, yes(false), yes(false))
		roundTrip(t, w, tenant, int64(math.MinInt64), int64(math.MinInt64))
		roundTrip(t, w, tenant, number(-3), number(-3))
		roundTrip(t, w, tenant, uint64(math.MaxInt64), uint64(math.MaxInt64))
		roundTrip(t, w, tenant, uint8(255), uint8(255))
		roundTrip(t, w, tenant, 0.1, 0.1)
		roundTrip(t, w, tenant, math.Inf(1), math.Inf(1))
		roundTrip(t, w, tenant, float32(1.5), float32(1.5))
		roundTrip(t, w, tenant, id, id)
		roundTrip(t, w, tenant, tenancy.ID(id), tenancy.ID(id))
		roundTrip(t, w, tenant, [16]byte(id), [16]byte(id))
		roundTrip(t, w, tenant, at, at)
		roundTrip(t, w, tenant, at.In(time.FixedZone("", 3600)), at)
		roundTrip(t, w, tenant, time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{})
		roundTrip(t, w, tenant, &text, &text)
		roundTrip(t, w, tenant, &n, &n)
		roundTrip(t, w, tenant, &when, &when)
		roundTrip(t, w, tenant, &id, &id)
		roundTrip(t, w, tenant, (*string)(nil), (*string)(nil))
		roundTrip(t, w, tenant, (*time.Time)(nil), (*time.Time)(nil))
		roundTrip(t, w, tenant, (*uuid.UUID)(nil), (*uuid.UUID)(nil))
		roundTrip(t, w, tenant, nil, (*int)(nil))
		roundTrip(t, w, tenant, sql.NullString{String: "s", Valid: true}, sql.NullString{String: "s", Valid: true})
		roundTrip(t, w, tenant, sql.NullInt64{}, sql.NullInt64{})
		roundTrip(t, w, tenant, time.Second, time.Second)
	})
	t.Run("sqlite/stored as", storedAs)
	t.Run("sqlite/sqlx", rawStruct)
	t.Run("sqlite/refused", refusedValues)
	t.Run("sqlite/scan refuses", scanRefuses)
}

func roundTrip[T any](t *testing.T, w world, tenant uuid.UUID, in any, out T) {
	t.Helper()
	if _, err := w.exec(t.Context(), tenant, "DELETE FROM things"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.exec(t.Context(), tenant, "INSERT INTO things (id, tenant_id, data) VALUES ('a', 'b', $1)", in); err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	got := one[T](t, w, tenant, "SELECT data FROM things")
	if diff := cmp.Diff(out, got); diff != "" {
		t.Errorf("%T: %s", in, diff)
	}
}

func storedAs(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	tenant := w.tenant(t)
	id := uuid.New()
	cases := map[string]any{
		"text 2026-01-02T14:04:05.000000Z": time.Date(2026, 1, 2, 15, 4, 5, 999, time.FixedZone("", 3600)),
		"text " + id.String():              id,
		"integer 1":                        true,
		"null ":                            []byte(nil),
	}
	for wanted, v := range cases {
		if got := one[string](t, w, tenant, "SELECT typeof($1) || ' ' || coalesce($1, '')", v); got != wanted {
			t.Errorf("%T is stored as %q, want %q", v, got, wanted)
		}
	}
}

// rawStruct reads with a caller's own SELECT what the library wrote.
func rawStruct(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	tenant := w.tenant(t)
	type row struct {
		ID     uuid.UUID               `db:"id"`
		Tenant tenancy.ID              `db:"tenant_id"`
		N      *int                    `db:"n"`
		At     *time.Time              `db:"at"`
		Data   field.Encrypted[string] `db:"data"`
	}
	at := time.Date(2026, 1, 2, 15, 4, 5, 6000, time.UTC)
	id := uuid.New()
	_, err := w.exec(t.Context(), tenant, "INSERT INTO things (id, tenant_id, n, at, data) VALUES ($1, $2, $3, $4, $5)",
		id, tenant, nil, at, []byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	err = w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
		var r row
		if err := tx.SQLX().Get(&r, "SELECT * FROM things WHERE at >= ? AND id = ?", at, id); err != nil {
			return err
		}
		if r.ID != id || r.Tenant.UUID() != tenant || r.N != nil || !r.At.Equal(at) {
			t.Errorf("%v %v %v %v", r.ID, r.Tenant, r.N, r.At)
		}
		_, err := tx.SQLX().NamedExec("UPDATE things SET at = :at, n = :n WHERE id = :id", map[string]any{"at": at.Add(time.Hour), "n": 4, "id": id})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := one[time.Time](t, w, tenant, "SELECT at FROM things"); !got.Equal(at.Add(time.Hour)) {
		t.Error(got)
	}
	if got := one[string](t, w, tenant, "SELECT at FROM things"); got != "2026-01-02T16:04:05.000006Z" {
		t.Error(got)
	}
}

func refusedValues(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	tenant := w.tenant(t)
	const canary = "canary"
	for _, v := range []any{
		canary + "\xff", canary + "\x00", named(canary + "\xff"), math.NaN(), uint64(math.MaxUint64), struct{ s string }{canary},
		[]string{canary}, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC), make(chan int), failing{},
	} {
		_, err := w.exec(t.Context(), tenant, "SELECT $1", v)
		want(t, err, engine.BadValue)
		if strings.Contains(err.Error(), canary) {
			t.Errorf("the error shows the value: %v", err)
		}
		err = w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
			_, err := tx.SQLX().Exec("SELECT ?", v)
			return err
		})
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

type failing struct{}

func (failing) Value() (driver.Value, error) { return nil, errors.New("canary") }

func scanRefuses(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	tenant := w.tenant(t)
	const canary = "canary"
	cases := map[string]any{
		"SELECT NULL":                     new(string),
		"SELECT '" + canary + "'":         new(int),
		"SELECT '" + canary + "x'":        new(time.Time),
		"SELECT '" + canary + "y'":        new(uuid.UUID),
		"SELECT 300":                      new(uint8),
		"SELECT -1":                       new(uint),
		"SELECT 2":                        new(bool),
		"SELECT 1.5":                      new(int64),
		"SELECT 1e300":                    new(float32),
		"SELECT x'00'":                    new(time.Time),
		"SELECT 1 AS a":                   canary,
		"SELECT 1, 2":                     new(int),
		"SELECT '" + canary + "z' AS one": new(tenancy.ID),
	}
	for text, dest := range cases {
		tx := begin(t, w, tenant)
		_, err := tx.Run(t.Context(), engine.Stmt{SQL: text}, engine.Commit, func(r engine.Row) error { return r.Scan(dest) })
		if kind(err) != engine.BadValue && kind(err) != engine.Other || err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s into %T: %v", text, dest, err)
		}
	}
}

// TestErrors: each refusal of the database has its kind, and no text quotes a
// value of a row.
func TestErrors(t *testing.T) {
	t.Parallel()
	const canary = "canary4711"
	cases := []struct {
		text string
		kind engine.Kind
		says string
	}{
		{"INSERT INTO things (id, tenant_id) VALUES ('" + canary + "', 'b'), ('" + canary + "', 'c')", engine.Unique, "things.id [1555]"},
		{"INSERT INTO things (id, tenant_id, n) VALUES ('a', '" + canary + "', 1), ('b', '" + canary + "', 1)", engine.Unique, "things.tenant_id [2067]"},
		{"INSERT INTO things (id, tenant_id) VALUES ('" + canary + "', NULL)", engine.Constraint, "things.tenant_id [1299]"},
		{"INSERT INTO things (id, tenant_id, n) VALUES ('" + canary + "', 'b', 1000)", engine.Constraint, "[275]"},
		{"INSERT INTO things (id, tenant_id, n) VALUES ('" + canary + "', 'b', -1)", engine.Constraint, "[1811]"},
		{"INSERT INTO parts VALUES ('" + canary + "')", engine.Constraint, "[787]"},
		{"INSERT INTO counted VALUES ('" + canary + "')", engine.BadValue, "[20]"},
		{"SELECT json_extract('{" + canary + "', '$.a')", engine.Other, "[1]"},
		{"SELECT json_extract('{}', '" + canary + "')", engine.Other, "[1]"},
		{"SELECT * FROM notes WHERE notes MATCH '\"" + canary + "'", engine.Other, "[1]"},
		{"SELECT '" + canary, engine.Other, "[1]"},
		{"SELECT 1 '" + canary + "' 'x' ,,", engine.Other, "[1]"},
		{"SELECT * FROM notes WHERE body = \"" + canary + "\"", engine.Other, "[1]"},
		{"SELECT * FROM " + canary, engine.Other, "no such table"},
		{"SELEC 1", engine.Other, "syntax error"},
		{"SELECT * FROM nowhere", engine.Other, "no such table"},
		{"SELECT missing FROM things", engine.Other, "no such column"},
		{`SELECT "` + canary + ` x"`, engine.Other, "[1]"}, // no text in double quotes
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		tenant := w.tenant(t)
		for _, c := range cases {
			_, err := w.exec(t.Context(), tenant, c.text)
			check := func(err error) {
				if kind(err) != c.kind || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), canary) {
					t.Errorf("%s: %v, want kind %v and %q", c.text, err, c.kind, c.says)
				}
			}
			check(err)
			check(w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error { return byQuery(tx, c.text) }))
		}
	})
}
