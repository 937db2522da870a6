package postgres_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type (
	colour   string
	level    uint16
	sampleID uuid.UUID
)

// sample has a column of every kind that a table may hold.
type sample struct {
	ID     sampleID        `db:"id"        art32:"key"`
	Tenant tenancy.ID      `db:"tenant_id" art32:"tenant"`
	Text   string          `db:"text"      art32:"open"`
	Colour colour          `db:"colour"    art32:"open"`
	Level  level           `db:"level"     art32:"open"`
	Small  int16           `db:"small"     art32:"open"`
	Big    int64           `db:"big"       art32:"open"`
	Real   float64         `db:"real"      art32:"open"`
	Yes    bool            `db:"yes"       art32:"open"`
	At     time.Time       `db:"at"        art32:"open"`
	Bytes  []byte          `db:"bytes"     art32:"open"`
	JSON   json.RawMessage `db:"json"      art32:"open"`
	Other  *uuid.UUID      `db:"other"     art32:"open"`
	Maybe  *string         `db:"maybe"     art32:"open"`
	Number *int32          `db:"number"    art32:"open"`
	When   *time.Time      `db:"when"      art32:"open"`
	Hue    *colour         `db:"hue"       art32:"open"`
}

var samples = tenancy.MustRepository[sample]("samples")

const samplesSQL = `CREATE TABLE samples (tenant_id uuid NOT NULL, id uuid, text varchar(100) NOT NULL, colour text NOT NULL,
	level int NOT NULL, small smallint NOT NULL, big bigint NOT NULL, "real" double precision NOT NULL, yes bool NOT NULL,
	at timestamptz NOT NULL, bytes bytea, json jsonb, other uuid, maybe text, number int, "when" timestamptz, hue text,
	PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, colour));
	SELECT art32.protect('samples')`

// withSamples adds the table of samples and opens the database with it.
func withSamples(t *testing.T, tables ...tenancy.Table) *world {
	t.Helper()
	w := newWorld(t)
	w.asOwner(t, samplesSQL)
	db, err := postgres.Open(t.Context(), w.logins, append(tenancy.Schema{customers, samples}, tables...), w.keys, trace{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w.db = db
	return w
}

// asOwner runs text as a migration would: as the owner of the tables.
func (w *world) asOwner(tb testing.TB, text string) {
	tb.Helper()
	tx := w.admin(tb).MustBegin()
	tx.MustExec("SET LOCAL ROLE " + w.role(tb, "owner"))
	tx.MustExec(text)
	if err := tx.Commit(); err != nil {
		tb.Fatal(err)
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	w := withSamples(t)
	at := time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.FixedZone("", 3600))
	rows := map[string]sample{
		"zero": {At: time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)},
		"full": {
			Text: "Änne\t\"quoted\" 'too' \\ \u200b😀 \u0000"[:26], Colour: "grün", Level: math.MaxUint16, Small: math.MinInt16,
			Big: math.MinInt64, Real: math.SmallestNonzeroFloat64, Yes: true, At: at, Bytes: []byte{0, 255, 0}, JSON: json.RawMessage(`{"a": [1, null]}`),
			Other: new(uuid.New()), Maybe: new(""), Number: new(int32(math.MinInt32)), When: new(at), Hue: new(colour("'; DROP TABLE samples; --")),
		},
		"empty": {Bytes: []byte{}, Colour: "x", Maybe: new("NULL"), Real: math.Inf(1), At: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if err := samples.Insert(w.a, w.db, &row); err != nil {
				t.Fatal(err)
			}
			got, err := samples.Get(w.a, w.db, row.ID)
			if err != nil {
				t.Fatal(err)
			}
			want := row
			want.At = row.At.UTC().Truncate(time.Microsecond)
			if row.When != nil {
				want.When = new(row.When.UTC().Truncate(time.Microsecond))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			events := len(w.events(w.a, t))
			if err := samples.Update(w.a, w.db, &row); err != nil { // with nanoseconds that were never stored
				t.Fatal(err)
			}
			if n := len(w.events(w.a, t)); n != events {
				t.Errorf("an update that changes nothing left %d events", n-events)
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	w := withSamples(t)
	for name, row := range map[string]sample{
		"NUL":             {Text: "canary\x00"},
		"invalid UTF-8":   {Text: "canary\xff"},
		"NUL in named":    {Colour: "canary\x00"},
		"NUL in pointer":  {Maybe: new("canary\x00")},
		"too long":        {Text: strings.Repeat("canary", 17)},
		"year 300000":     {At: time.Date(300000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"before Christ":   {At: time.Date(-5000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"broken document": {JSON: json.RawMessage(`{"canary"`)},
	} {
		err := samples.Insert(w.a, w.db, &row)
		if !errors.Is(err, tenancy.ErrBadValue) {
			t.Errorf("%s: %v, want ErrBadValue", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows the value: %v", name, err)
		}
	}
	row := sample{Colour: "ok"}
	if err := samples.Insert(w.a, w.db, &row); err != nil {
		t.Fatal(err)
	}
	if err := samples.Edit(w.a, w.db, row.ID, func(s *sample) error { s.Text = "\x00"; return nil }); !errors.Is(err, tenancy.ErrBadValue) {
		t.Errorf("edit: %v, want ErrBadValue", err)
	}
	// What does not fit the Go type when it is read.
	w.admin(t).MustExec("UPDATE samples SET level = 70000")
	if _, err := samples.Get(w.a, w.db, row.ID); !errors.Is(err, tenancy.ErrBadValue) {
		t.Errorf("overflow: %v, want ErrBadValue", err)
	}
	w.admin(t).MustExec("ALTER TABLE samples ALTER text DROP NOT NULL; UPDATE samples SET level = 1, text = NULL")
	if _, err := samples.Get(w.a, w.db, row.ID); !errors.Is(err, tenancy.ErrBadValue) {
		t.Errorf("NULL in a string: %v, want ErrBadValue", err)
	}
	if n, err := samples.Count(w.a, w.db); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	w := withSamples(t)
	row := sample{Colour: "canary"}
	if err := samples.Insert(w.a, w.db, &row); err != nil {
		t.Fatal(err)
	}
	again := sample{Colour: "canary"}
	for name, err := range map[string]error{
		"key":    samples.Insert(w.a, w.db, &row),
		"unique": samples.Insert(w.a, w.db, &again),
	} {
		if !errors.Is(err, tenancy.ErrExists) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), uuid.UUID(row.ID).String()) {
			t.Errorf("%s: %v, want ErrExists without the value", name, err)
		}
	}
	other := sample{ID: row.ID, Colour: "canary"}
	if err := samples.Insert(w.b, w.db, &other); err != nil {
		t.Errorf("the same key and value of B: %v", err)
	}
	w.admin(t).MustExec("ALTER TABLE samples ADD CHECK (small < 5)")
	if err := samples.Insert(w.a, w.db, &sample{Small: 7}); !errors.Is(err, tenancy.ErrConstraint) {
		t.Errorf("check: %v, want ErrConstraint", err)
	}
	for _, id := range []any{nil, "x", 7, uuid.Nil.String(), tenancy.ID{}} {
		if _, err := samples.Get(w.a, w.db, id); err == nil || errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a key of type %T: %v, want an error that says so", id, err)
		}
	}
	if err := samples.Delete(w.b, w.db, uuid.New()); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("delete of nothing: %v, want ErrNotFound", err)
	}
}
