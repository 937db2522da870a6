package tenancy_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// Types of the application's own, whose zero values are stored as what is no
// zero value of the database's type.
type (
	amount struct{ digits string }
	gender int
	stamp  struct{ days int }
	photo  struct{ data []byte }
)

func (a amount) Value() (driver.Value, error) {
	if a.digits == "" {
		return "0.00", nil
	}
	return a.digits, nil
}

func (a *amount) Scan(src any) error {
	text, ok := src.(string)
	if !ok || text == "" {
		return errors.New("no amount")
	}
	a.digits = strings.TrimPrefix(text, "0.00")
	return nil
}

func (g gender) Value() (driver.Value, error) { return int64(g) + 9, nil }

func (g *gender) Scan(src any) error {
	n, ok := src.(int64)
	if !ok || n < 9 {
		return errors.New("no gender")
	}
	*g = gender(n - 9)
	return nil
}

var epoch = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

func (s stamp) Value() (driver.Value, error) { return epoch.AddDate(0, 0, s.days), nil }

func (s *stamp) Scan(src any) error {
	at, ok := src.(time.Time)
	if !ok || at.Before(epoch) {
		return errors.New("no stamp")
	}
	s.days = int(at.Sub(epoch).Hours() / 24)
	return nil
}

func (p photo) Value() (driver.Value, error) { return append([]byte{}, p.data...), nil }

func (p *photo) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok {
		return errors.New("no photo")
	}
	p.data = bytes.Clone(b)
	return nil
}

// everything has a personal column of each kind.
type everything struct {
	ID      uuid.UUID               `db:"id"        art32:"key"`
	Tenant  tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Person  uuid.UUID               `db:"person"    art32:"subject"`
	Text    string                  `db:"a_text"    art32:"personal"`
	Int     int32                   `db:"an_int"    art32:"personal"`
	Real    float64                 `db:"a_real"    art32:"personal"`
	Bool    bool                    `db:"a_bool"    art32:"personal"`
	Time    time.Time               `db:"a_time"    art32:"personal"`
	UUID    uuid.UUID               `db:"a_uuid"    art32:"personal"`
	Null    *string                 `db:"a_null"    art32:"personal"`
	Born    *time.Time              `db:"born"      art32:"personal"`
	Bytes   []byte                  `db:"a_bytes"   art32:"personal"`
	JSON    json.RawMessage         `db:"a_json"    art32:"personal"`
	Amount  amount                  `db:"amount"    art32:"personal"`
	Gender  gender                  `db:"gender"    art32:"personal"`
	Stamp   stamp                   `db:"a_stamp"   art32:"personal"`
	Photo   photo                   `db:"photo"     art32:"personal"`
	Secret  field.Encrypted[string] `db:"secret"    art32:"index=secret_bidx:exact"`
	Comment string                  `db:"a_comment" art32:"open"`
}

var everythings = tenancy.MustRepository[everything]("stock.everythings")

func everythingMigrations() fs.FS {
	const lite = `CREATE TABLE stock_everythings (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, person TEXT NOT NULL,
		a_text TEXT NOT NULL, an_int INTEGER NOT NULL, a_real REAL NOT NULL, a_bool INTEGER NOT NULL, a_time TIMESTAMP NOT NULL,
		a_uuid TEXT NOT NULL, a_null TEXT, born TIMESTAMP, a_bytes BLOB, a_json TEXT, amount TEXT NOT NULL CHECK (amount <> ''),
		gender INTEGER NOT NULL CHECK (gender >= 9), a_stamp TIMESTAMP NOT NULL, photo BLOB NOT NULL,
		secret BLOB, secret_bidx BLOB, a_comment TEXT NOT NULL);`
	pg := strings.NewReplacer(
		"stock_", "stock.", "tenant_id TEXT", "tenant_id uuid", "id TEXT NOT NULL PRIMARY KEY", "id uuid NOT NULL", "person TEXT", "person uuid",
		"a_real REAL", "a_real double precision", "a_bool INTEGER", "a_bool boolean", "TIMESTAMP", "timestamptz", "a_uuid TEXT", "a_uuid uuid",
		"BLOB", "bytea", "a_json TEXT", "a_json jsonb", "a_comment TEXT NOT NULL", "a_comment text NOT NULL, PRIMARY KEY (tenant_id, id)",
	).Replace(lite)
	return fstest.MapFS{
		"sqlite/0001_stock.sql": {Data: []byte(lite)},
		"postgres/0001_stock.sql": {Data: []byte("CREATE SCHEMA stock; GRANT USAGE ON SCHEMA stock TO art32_library, art32_app;" + pg +
			"SELECT art32.protect('stock.everythings');")},
	}
}

func full(person uuid.UUID) *everything {
	text, at := "Köln", time.Date(1970, 5, 6, 0, 0, 0, 0, time.UTC)
	return &everything{
		Person: person, Text: text, Int: 7, Real: 1.5, Bool: true, Time: at, UUID: uuid.New(), Null: &text, Born: &at,
		Bytes: []byte("b"), JSON: json.RawMessage(`{"a": 1}`), Amount: amount{"12.50"}, Gender: 2, Stamp: stamp{77},
		Photo: photo{[]byte("jpeg")}, Secret: field.New(text), Comment: "open",
	}
}

// described opens the world's database by what is stored about its schema.
func described(t *testing.T, w *tenancytest.World) *tenancy.DB {
	t.Helper()
	e := w.DB.Engine(engine.Library)
	schema, err := tenancy.Declared(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	db, err := tenancy.New(e, schema, w.Keys, w.Log, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestEraseDescribed: an erasure that knows the tables by their stored
// description alone writes what one writes that has the struct.
func TestEraseDescribed(t *testing.T) {
	t.Parallel()
	o := &tenancytest.Options{Migrations: everythingMigrations()}
	tenancytest.Each(t, tenancy.Schema{everythings}, o, func(t *testing.T, w *tenancytest.World) {
		t.Attr("art32.measure", "TOM-7.2")
		ctx := w.In(t, w.A)
		byStruct, byDescription, kept := full(uuid.New()), full(uuid.New()), full(uuid.New())
		for _, row := range []*everything{byStruct, byDescription, kept} {
			must(t, everythings.Insert(ctx, w.DB, row))
		}
		must(t, w.DB.Erase(ctx, byStruct.Person))
		must(t, described(t, w).Erase(ctx, byDescription.Person))
		have, want := stored(t, w, byDescription.ID), stored(t, w, byStruct.ID)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("stored after the erasure (-struct +description):\n%s", diff)
		}
		same := cmp.Comparer(func(a, b everything) bool {
			a.ID, a.Person, a.Secret = b.ID, b.Person, b.Secret
			x, errX := json.Marshal(a)
			y, errY := json.Marshal(b)
			return errX == nil && errY == nil && bytes.Equal(x, y) && a.Amount == b.Amount && a.Stamp == b.Stamp
		})
		empty := everything{Tenant: w.A, Comment: "open"}
		for name, id := range map[string]uuid.UUID{"struct": byStruct.ID, "description": byDescription.ID} {
			got, err := everythings.Get(ctx, w.DB, id)
			must(t, err)
			if !cmp.Equal(empty, got, same) {
				t.Errorf("by %s: %+v", name, got)
			}
			if _, err := got.Secret.Reveal(); !errors.Is(err, field.ErrErased) {
				t.Errorf("by %s: Reveal = %v", name, err)
			}
		}
		if got, err := everythings.Get(ctx, w.DB, kept.ID); err != nil || !cmp.Equal(*kept, got, same) {
			t.Errorf("of somebody else: %+v, %v", got, err)
		}
		w.Verify(t)
	})
}

// stored reads the personal columns of a row, and its blind index, as they
// stand in the database.
func stored(t *testing.T, w *tenancytest.World, id uuid.UUID) map[string]any {
	t.Helper()
	var names []string
	info := tenancy.Schema{everythings}.Info()[0]
	for _, c := range info.Columns {
		if c.Class == tenancy.Personal {
			names = append(names, c.Name)
		}
		if c.Index != "" {
			names = append(names, c.Index)
		}
	}
	table := info.Name
	if w.Engine == tenancytest.SQLite {
		table = strings.ReplaceAll(table, ".", "_")
	}
	values, dest := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		dest[i] = &values[i]
	}
	text := "SELECT " + strings.Join(names, ", ") + " FROM " + table + " WHERE id = $1"
	must(t, w.Raw(t, w.A).QueryRowContext(t.Context(), text, id.String()).Scan(dest...))
	out := map[string]any{}
	for i, name := range names {
		out[name] = values[i]
	}
	return out
}

// TestDescribed: a description survives JSON and tells the same again.
func TestDescribed(t *testing.T) {
	t.Parallel()
	want := tenancy.Schema{everythings, Patients, persons}.Info()
	text, err := json.Marshal(want)
	must(t, err)
	var infos []tenancy.TableInfo
	must(t, json.Unmarshal(text, &infos))
	s, err := tenancy.Described(infos)
	must(t, err)
	if diff := cmp.Diff(want, s.Info()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty := map[string]string{}
	for _, c := range want[0].Columns {
		if c.Class == tenancy.Personal {
			empty[c.Name] = c.Empty
		}
	}
	if diff := cmp.Diff(map[string]string{
		"a_text": "text", "an_int": "integer", "a_real": "real", "a_bool": "boolean", "a_time": "time", "a_uuid": "uuid", "a_null": "null",
		"born": "null", "a_bytes": "null", "a_json": "null", "amount": "text=0.00", "gender": "integer=9",
		"a_stamp": "time=1900-01-01T00:00:00Z", "photo": "bytes",
	}, empty); diff != "" {
		t.Errorf("what an erasure writes (-want +got):\n%s", diff)
	}
}

// TestDescribedBefore: a description that was stored before it told how an index
// is computed is read as it is.
func TestDescribedBefore(t *testing.T) {
	t.Parallel()
	const stored = `[{"Name":"patients","Key":"id","Tenant":"tenant_id","Subject":"id","Columns":[{"Name":"id","Class":1},` +
		`{"Name":"tenant_id","Class":1},{"Name":"name","Class":3,"Index":"name_bidx"}]}]`
	var infos []tenancy.TableInfo
	must(t, json.Unmarshal([]byte(stored), &infos))
	s, err := tenancy.Described(infos)
	must(t, err)
	if got := marshal(t, s.Info()); got != stored {
		t.Errorf("got %s", got)
	}
}

// TestDescribedRefused: what Info does not write is refused.
func TestDescribedRefused(t *testing.T) {
	t.Parallel()
	good := func() tenancy.TableInfo { return tenancy.Schema{Patients}.Info()[0] } // id, tenant_id, name, visits, remarks
	spoil := map[string]func(in *tenancy.TableInfo){
		"name":               func(in *tenancy.TableInfo) { in.Name = `x"; DROP` },
		"table of ours":      func(in *tenancy.TableInfo) { in.Name = "art32.events" },
		"column":             func(in *tenancy.TableInfo) { in.Columns[2].Name = `a" = 1` },
		"column twice":       func(in *tenancy.TableInfo) { in.Columns[4].Name = "visits" },
		"no class":           func(in *tenancy.TableInfo) { in.Columns[3].Class = 0 },
		"unknown class":      func(in *tenancy.TableInfo) { in.Columns[3].Class = 4 },
		"index":              func(in *tenancy.TableInfo) { in.Columns[2].Index = `x"` },
		"index of open":      func(in *tenancy.TableInfo) { in.Columns[3].Index = "x" },
		"index on a column":  func(in *tenancy.TableInfo) { in.Columns[2].Index = "visits" },
		"index on itself":    func(in *tenancy.TableInfo) { in.Columns[2].Index = "name" },
		"personal, no empty": func(in *tenancy.TableInfo) { in.Columns[4].Empty = "" },
		"unknown empty":      func(in *tenancy.TableInfo) { in.Columns[4].Empty = "blob" },
		"empty with more":    func(in *tenancy.TableInfo) { in.Columns[4].Empty = "null=x" },
		"empty not shortest": func(in *tenancy.TableInfo) { in.Columns[4].Empty = "integer=0" },
		"empty no number":    func(in *tenancy.TableInfo) { in.Columns[4].Empty = "integer=x" },
		"empty of open":      func(in *tenancy.TableInfo) { in.Columns[3].Empty = "null" },
		"unknown transform":  func(in *tenancy.TableInfo) { in.Columns[2].Transform = "rot13" },
		"no transform":       func(in *tenancy.TableInfo) { in.Columns[2].Transform = "" },
		"too few rows":       func(in *tenancy.TableInfo) { in.Columns[2].Rows = 15 },
		"unique with rows":   func(in *tenancy.TableInfo) { in.Columns[2].Unique = true },
		"neither":            func(in *tenancy.TableInfo) { in.Columns[2].Rows = 0 },
		"rows, no index":     func(in *tenancy.TableInfo) { in.Columns[4].Rows = 16 },
		"transform of none":  func(in *tenancy.TableInfo) { in.Columns[4].Transform = field.Exact },
		"no key":             func(in *tenancy.TableInfo) { in.Key = "" },
		"two keys":           func(in *tenancy.TableInfo) { in.Keys = keys("id", "uuid", "visits", "integer") },
		"an empty list":      func(in *tenancy.TableInfo) { in.Keys = []tenancy.KeyInfo{} },
		"one uuid in a list": func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "uuid") },
		"key of no type":     func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "") },
		"key of a bad type":  func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "bytea") },
		"key twice":          func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "uuid", "id", "uuid") },
		"unknown key":        func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "uuid", "none", "text") },
		"personal key":       func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "uuid", "remarks", "text") },
		"tenant as key":      func(in *tenancy.TableInfo) { in.Key, in.Keys = "", keys("id", "uuid", in.Tenant, "uuid") },
		"no tenant":          func(in *tenancy.TableInfo) { in.Tenant = "none" },
		"unknown subject":    func(in *tenancy.TableInfo) { in.Subject = "none" },
		"personal subject":   func(in *tenancy.TableInfo) { in.Subject = "remarks" },
		"no columns":         func(in *tenancy.TableInfo) { in.Columns = nil },
	}
	if _, err := tenancy.Described([]tenancy.TableInfo{good()}); err != nil {
		t.Fatal(err)
	}
	for name, f := range spoil {
		in := good()
		f(&in)
		if _, err := tenancy.Described([]tenancy.TableInfo{in}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// keys are columns of a key with their types.
func keys(namesAndTypes ...string) (out []tenancy.KeyInfo) {
	for pair := range slices.Chunk(namesAndTypes, 2) {
		out = append(out, tenancy.KeyInfo{Name: pair[0], Type: pair[1]})
	}
	return out
}

// TestDescribedKeys: a description of before there were keys but one UUID opens, and
// is written as it was; who knows only those finds no key in a newer one.
func TestDescribedKeys(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	const old = `[{"Name":"memos","Key":"id","Tenant":"tenant_id","Subject":"person","Columns":[` +
		`{"Name":"id","Class":1},{"Name":"tenant_id","Class":1},{"Name":"person","Class":1},{"Name":"text","Class":3}]}]`
	const line = `[{"Name":"lines","Key":"","Tenant":"tenant_id","Subject":"","Columns":[` +
		`{"Name":"tenant_id","Class":1},{"Name":"order_id","Class":1},{"Name":"sku","Class":1},{"Name":"position","Class":1}],` +
		`"Keys":[{"Name":"order_id","Type":"uuid"},{"Name":"sku","Type":"text"},{"Name":"position","Type":"integer"}]}]`
	type lineOf struct {
		Tenant   tenancy.ID `db:"tenant_id" art32:"tenant"`
		Order    orderID    `db:"order_id"  art32:"key"`
		SKU      skuID      `db:"sku"       art32:"key"`
		Position serial     `db:"position"  art32:"key"`
	}
	if got := marshal(t, tenancy.Schema{tenancy.MustRepository[lineOf]("lines")}.Info()); got != line {
		t.Errorf("described as %s", got)
	}
	for _, text := range []string{old, line} {
		var infos []tenancy.TableInfo
		must(t, json.Unmarshal([]byte(text), &infos))
		s, err := tenancy.Described(infos)
		must(t, err)
		if got := marshal(t, s.Info()); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
}

// TestDeclared: the description follows the application that opened last; one
// that is damaged is no description.
func TestDeclared(t *testing.T) {
	t.Parallel()
	o := &tenancytest.Options{Migrations: everythingMigrations()}
	tenancytest.Each(t, tenancy.Schema{everythings}, o, func(t *testing.T, w *tenancytest.World) {
		declared := func() ([]tenancy.TableInfo, error) {
			s, err := tenancy.Declared(t.Context(), w.DB.Engine(engine.Library))
			return s.Info(), err
		}
		want := tenancy.Schema{everythings}.Info()
		if got, err := declared(); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%v, %v", got, err)
		}
		type smaller struct {
			ID     uuid.UUID  `db:"id"        art32:"key"`
			Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
			Person uuid.UUID  `db:"person"    art32:"subject"`
		}
		other := tenancy.Schema{tenancy.MustRepository[smaller]("stock.everythings")}
		tenancytest.Open(t, other, w.Place, o)
		if got, err := declared(); err != nil || !cmp.Equal(other.Info(), got) {
			t.Errorf("not renewed: %v, %v", got, err)
		}
		for _, damage := range []string{
			"", "null", "[]", "{}", "[{}]", "[", `["Kanarienvogel"]`, `[{"Name": "Kanarienvogel"}]`,
			strings.Replace(marshal(t, want), `"Class":2`, `"Class":7`, 1), marshal(t, append(want, want...)),
		} {
			setDeclared(t, w, damage)
			_, err := declared()
			if err == nil || !strings.Contains(err.Error(), "damaged") || strings.Contains(err.Error(), "Kanarienvogel") {
				t.Errorf("%.40s: %v", damage, err)
			}
		}
		w.Reopen(t)
		if got, err := declared(); err != nil || !cmp.Equal(want, got) {
			t.Errorf("not renewed after the damage: %v, %v", got, err)
		}
		if _, err := w.Raw(t, tenancy.ID{}).ExecContext(t.Context(), "DELETE FROM "+declaredTable(w)); err != nil {
			t.Fatal(err)
		}
		if got, err := declared(); err != nil || len(got) != 0 {
			t.Errorf("never declared: %v, %v", got, err)
		}
	})
}

func marshal(t *testing.T, infos []tenancy.TableInfo) string {
	t.Helper()
	b, err := json.Marshal(infos)
	must(t, err)
	return string(b)
}

func declaredTable(w *tenancytest.World) string {
	if w.Engine == tenancytest.SQLite {
		return "art32_declared"
	}
	return "art32.declared"
}

func setDeclared(t *testing.T, w *tenancytest.World, text string) {
	t.Helper()
	db := w.Raw(t, tenancy.ID{})
	defer db.Close()
	_, err := db.ExecContext(t.Context(), "UPDATE "+declaredTable(w)+" SET info = $1", text)
	must(t, err)
}

// FuzzDescribed: what is accepted is told again as it was read, and can be
// opened.
func FuzzDescribed(f *testing.F) {
	for _, s := range []tenancy.Schema{{everythings}, {Patients}, {persons, Patients}, shop} {
		b, err := json.Marshal(s.Info())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`[{"Name":"a","Key":"k","Tenant":"t","Columns":[{"Name":"k","Class":1},{"Name":"t","Class":1},{"Name":"p","Class":2,"Empty":"real=NaN"}]}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var infos []tenancy.TableInfo
		if json.Unmarshal(b, &infos) != nil {
			return
		}
		s, err := tenancy.Described(infos)
		if err != nil {
			return
		}
		got := s.Info()
		if len(infos) == 0 && len(got) == 0 {
			return
		}
		if diff := cmp.Diff(infos, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
