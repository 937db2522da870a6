package tenancy_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

type (
	orderID  uuid.UUID
	clientID uuid.UUID
	skuID    string
	serial   int32
)

// orderLine has the key of three columns, of three types.
type orderLine struct {
	Tenant   tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Order    orderID                 `db:"order_id"  art32:"key"`
	SKU      skuID                   `db:"sku"       art32:"key"`
	Position serial                  `db:"position"  art32:"key"`
	Client   clientID                `db:"client_id" art32:"subject"`
	Text     field.Encrypted[string] `db:"text"      art32:"unique=text_bidx:exact"`
	Note     string                  `db:"note"      art32:"personal"`
	Cents    int64                   `db:"cents"     art32:"open"`
	Version  int64                   `db:"version"   art32:"version"`
}

type orderLineKey struct {
	Order    orderID
	SKU      skuID
	Position serial
}

func (l *orderLine) key() orderLineKey { return orderLineKey{l.Order, l.SKU, l.Position} }

// membership has two ids of one type for a key.
type membership struct {
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	User   uuid.UUID  `db:"user_id"   art32:"key,subject"`
	Group  uuid.UUID  `db:"group_id"  art32:"key"`
	Role   string     `db:"role"      art32:"open"`
}

type option struct {
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   skuID                   `db:"name"      art32:"key"`
	Value  field.Encrypted[string] `db:"value"`
}

type reading struct {
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	ID     serial                  `db:"id"        art32:"key"`
	Value  field.Encrypted[string] `db:"value"`
}

// client has an id with a type of its own.
type client struct {
	ID     clientID   `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Name   string     `db:"name"      art32:"open"`
}

var (
	orderLines   = tenancy.MustRepository[orderLine]("shop.order_lines")
	lineOrder    = tenancy.MustColumn[orderID](orderLines, "order_id")
	lineSKU      = tenancy.MustColumn[skuID](orderLines, "sku")
	linePosition = tenancy.MustColumn[serial](orderLines, "position")
	lineText     = tenancy.MustColumn[string](orderLines, "text")
	lineCents    = tenancy.MustColumn[int64](orderLines, "cents")
	lineClient   = tenancy.MustReference(orderLines, "client_id", clients)
	memberships  = tenancy.MustRepository[membership]("memberships")
	options      = tenancy.MustRepository[option]("options")
	readings     = tenancy.MustRepository[reading]("readings")
	clients      = tenancy.MustRepository[client]("clients")
	shop         = tenancy.Schema{orderLines, memberships, options, readings, clients}
)

var shopMigrations = fstest.MapFS{
	"sqlite/0001_shop.sql": {Data: []byte(`CREATE TABLE shop_order_lines (tenant_id TEXT NOT NULL, order_id TEXT NOT NULL, sku TEXT NOT NULL,
	position INTEGER NOT NULL, client_id TEXT NOT NULL, text BLOB, text_bidx BLOB UNIQUE, note TEXT NOT NULL, cents INTEGER NOT NULL,
	version INTEGER NOT NULL, PRIMARY KEY (order_id, sku, position));
CREATE TABLE memberships (tenant_id TEXT NOT NULL, user_id TEXT NOT NULL, group_id TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (user_id, group_id));
CREATE TABLE options (tenant_id TEXT NOT NULL, name TEXT NOT NULL PRIMARY KEY, value BLOB);
CREATE TABLE readings (tenant_id TEXT NOT NULL, id INTEGER NOT NULL PRIMARY KEY, value BLOB);
CREATE TABLE clients (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL);`)},
	"postgres/0001_shop.sql": {Data: []byte(`CREATE SCHEMA shop; GRANT USAGE ON SCHEMA shop TO art32_library, art32_app;
CREATE TABLE shop.order_lines (tenant_id uuid NOT NULL, order_id uuid NOT NULL, sku text COLLATE "C" NOT NULL,
	position int NOT NULL, client_id uuid NOT NULL, text bytea, text_bidx bytea, note text NOT NULL, cents bigint NOT NULL,
	version bigint NOT NULL, PRIMARY KEY (tenant_id, order_id, sku, position), UNIQUE (tenant_id, text_bidx));
CREATE TABLE memberships (tenant_id uuid NOT NULL, user_id uuid NOT NULL, group_id uuid NOT NULL, role text NOT NULL,
	PRIMARY KEY (tenant_id, user_id, group_id));
CREATE TABLE options (tenant_id uuid NOT NULL, name varchar(40) NOT NULL, value bytea, PRIMARY KEY (tenant_id, name));
CREATE TABLE readings (tenant_id uuid NOT NULL, id bigint NOT NULL, value bytea, PRIMARY KEY (tenant_id, id));
CREATE TABLE clients (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, PRIMARY KEY (tenant_id, id));
SELECT art32.protect('shop.order_lines'), art32.protect('memberships'), art32.protect('options'), art32.protect('readings'), art32.protect('clients');`)},
}

// onShop runs a test on both engines.
func onShop(t *testing.T, test func(t *testing.T, ctx context.Context, w *tenancytest.World)) {
	t.Helper()
	t.Attr("art32.measure", "TOM-8.1")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := tenancytest.New(t, shop, &tenancytest.Options{Engine: engine, Migrations: shopMigrations})
			test(t, w.In(t, w.A), w)
		})
	}
}

// someLines are rows with few values in each column of the key, so that many rows
// are equal in some. The SKUs hold what lists and JSON must quote.
func someLines(n int) []orderLine {
	rnd := rand.New(rand.NewPCG(3, 4))
	orders := make([]orderID, n/8+2)
	for i := range orders {
		orders[i] = orderID(uuid.New())
	}
	skus := []skuID{"a", "B", `q"\'{},`, "NULL", "ü", "7", " ", "{1}"}
	people := []clientID{clientID(uuid.New()), clientID(uuid.New()), clientID(uuid.New())}
	taken := map[orderLineKey]bool{}
	var out []orderLine
	for len(out) < n {
		l := orderLine{
			Order: orders[rnd.IntN(len(orders))], SKU: skus[rnd.IntN(len(skus))], Position: serial(rnd.IntN(5) - 2),
			Client: people[rnd.IntN(3)], Text: field.New(fmt.Sprintf("line %d", len(out))), Note: "for Anna", Cents: int64(rnd.IntN(4)),
		}
		if !taken[l.key()] {
			taken[l.key()] = true
			out = append(out, l)
		}
	}
	return out
}

func byKey(a, b orderLine) int {
	return cmp.Or(strings.Compare(uuid.UUID(a.Order).String(), uuid.UUID(b.Order).String()),
		strings.Compare(string(a.SKU), string(b.SKU)), cmp.Compare(a.Position, b.Position))
}

func keysOf(lines []orderLine) []orderLineKey {
	out := make([]orderLineKey, len(lines))
	for i := range lines {
		out[i] = lines[i].key()
	}
	return out
}

// TestCompositeKey: the verbs for one row, their events, and what another tenant sees.
func TestCompositeKey(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someLines(3)
		l := all[0]
		must(t, orderLines.Insert(ctx, w.DB, &l))
		must(t, orderLines.Insert(ctx, w.DB, &all[1]))
		twice := all[0]
		twice.Text = field.New("another")
		if err := orderLines.Insert(ctx, w.DB, &twice); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("a key twice: %v", err)
		}
		got, err := orderLines.Get(ctx, w.DB, l.key())
		must(t, err)
		if text, err := got.Text.Reveal(); err != nil || text != "line 0" || got.key() != l.key() || got.Version != 1 {
			t.Errorf("%+v, %q, %v", got, text, err)
		}
		must(t, orderLines.Edit(ctx, w.DB, l.key(), func(l *orderLine) error { l.Cents, l.Text = 99, field.New("other"); return nil }))
		l, err = orderLines.Get(ctx, w.DB, l.key())
		must(t, err)
		l.Cents = 100
		must(t, orderLines.Update(ctx, w.DB, &l))
		l.Cents = 101
		must(t, orderLines.Upsert(ctx, w.DB, &l))
		must(t, orderLines.Upsert(ctx, w.DB, &all[2]))
		foreign := w.In(t, w.B)
		if _, err := orderLines.Get(foreign, w.DB, l.key()); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("another tenant: %v", err)
		}
		other := l.key()
		other.Position += 50
		if err := orderLines.Delete(ctx, w.DB, other); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("no such row: %v", err)
		}
		must(t, orderLines.Delete(ctx, w.DB, l.key()))
		if n, err := orderLines.Count(ctx, w.DB); n != 2 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		wantEvents(ctx, t, w, l)
	})
}

// wantEvents wants the events of a row under its object, with the values of its key at
// its beginning and at its end.
func wantEvents(ctx context.Context, t *testing.T, w *tenancytest.World, l orderLine) {
	t.Helper()
	object, err := orderLines.Object(l.key())
	must(t, err)
	if object.Version() != 8 || object.Variant() != uuid.RFC4122 {
		t.Errorf("object %s", object)
	}
	key := map[string]string{
		"order_id": fmt.Sprintf("%q", uuid.UUID(l.Order)), "sku": fmt.Sprintf("%q", string(l.SKU)), "position": fmt.Sprint(l.Position),
	}
	var actions []string
	for e, err := range w.Log.Events(ctx, w.DB, audit.Filter{Object: object}) {
		must(t, err)
		actions = append(actions, strings.TrimPrefix(e.Action, "shop.order_lines."))
		for _, f := range e.Fields {
			want, isKey := key[f.Column]
			if !isKey {
				continue
			}
			value := f.New
			if strings.HasSuffix(e.Action, "delete") {
				value = f.Old
			}
			var a, b any
			if json.Unmarshal(value, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || a != b || strings.HasSuffix(e.Action, "update") {
				t.Errorf("%s: %s is %s, want %s", e.Action, f.Column, value, want)
			}
			actions = append(actions, f.Column)
		}
	}
	slices.Sort(actions)
	want := "delete,insert,order_id,order_id,position,position,sku,sku,update,update,update"
	if got := strings.Join(actions, ","); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}

// TestTypedKeys: a text, a number, and a UUID of a type of its own.
func TestTypedKeys(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		must(t, options.Insert(ctx, w.DB, &option{Name: "theme", Value: field.New("dark")}))
		must(t, readings.InsertAll(ctx, w.DB, []reading{{ID: 7, Value: field.New("7")}, {ID: -1, Value: field.New("-1")}, {ID: 0, Value: field.New("0")}}))
		c := client{Name: "C"}
		must(t, clients.Insert(ctx, w.DB, &c))
		for _, id := range []any{"theme", skuID("theme")} {
			got, err := options.Get(ctx, w.DB, id)
			must(t, err)
			if v, err := got.Value.Reveal(); v != "dark" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
		for _, id := range []any{7, int64(7), serial(7)} {
			got, err := readings.Get(ctx, w.DB, id)
			must(t, err)
			if v, err := got.Value.Reveal(); v != "7" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
		for _, id := range []any{c.ID, uuid.UUID(c.ID)} {
			if got, err := clients.Get(ctx, w.DB, id); err != nil || got != c {
				t.Errorf("%v, %v", got, err)
			}
		}
		var ids []serial
		for _, r := range listed(t, readings.List(ctx, w.DB)) {
			ids = append(ids, r.ID)
		}
		if !slices.Equal(ids, []serial{-1, 0, 7}) {
			t.Errorf("in the order of keys: %v", ids)
		}
		must(t, options.Edit(ctx, w.DB, "theme", func(o *option) error { o.Value = field.New("light"); return nil }))
		must(t, options.Delete(ctx, w.DB, "theme"))
		must(t, readings.Delete(ctx, w.DB, 7))
		if n, err := readings.DeleteAll(ctx, w.DB); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestKeysOfAnotherType: what the compiler cannot tell, the verb does, and says what it
// takes.
func TestKeysOfAnotherType(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		id := uuid.New()
		for name, err := range map[string]error{
			"another id":       second(clients.Get(ctx, w.DB, orderID(id))),
			"no id":            second(clients.Get(ctx, w.DB, nil)),
			"text for a uuid":  second(clients.Get(ctx, w.DB, id.String())),
			"uuid for a text":  second(options.Get(ctx, w.DB, id)),
			"another text":     second(options.Get(ctx, w.DB, json.Number("theme"))),
			"number for text":  second(options.Get(ctx, w.DB, 7)),
			"empty text":       second(options.Get(ctx, w.DB, "")),
			"bad text":         second(options.Get(ctx, w.DB, "a\x00")),
			"no UTF-8":         second(options.Get(ctx, w.DB, "\xff")),
			"too large":        second(readings.Get(ctx, w.DB, int64(1)<<40)),
			"another number":   second(readings.Get(ctx, w.DB, int32(1))),
			"text for number":  second(readings.Get(ctx, w.DB, "7")),
			"one of three":     second(orderLines.Get(ctx, w.DB, orderID(id))),
			"the row":          second(orderLines.Get(ctx, w.DB, orderLine{Order: orderID(id), SKU: "a"})),
			"pointer":          second(orderLines.Get(ctx, w.DB, &orderLineKey{orderID(id), "a", 1})),
			"missing order":    second(orderLines.Get(ctx, w.DB, orderLineKey{SKU: "a", Position: 1})),
			"missing sku":      second(orderLines.Get(ctx, w.DB, orderLineKey{Order: orderID(id), Position: 1})),
			"other types":      second(orderLines.Get(ctx, w.DB, struct{ Order, SKU, Position string }{"a", "b", "c"})),
			"other names":      second(memberships.Get(ctx, w.DB, struct{ A, B uuid.UUID }{id, id})),
			"one more":         second(memberships.Get(ctx, w.DB, struct{ User, Group, More uuid.UUID }{id, id, id})),
			"embedded":         second(memberships.Get(ctx, w.DB, struct{ both }{both{id, id}})),
			"one of two":       second(memberships.Get(ctx, w.DB, struct{ User uuid.UUID }{id})),
			"slice":            second(memberships.Get(ctx, w.DB, []uuid.UUID{id, id})),
			"insert no order":  orderLines.Insert(ctx, w.DB, &orderLine{SKU: "a", Client: clientID(id)}),
			"insert no text":   options.Insert(ctx, w.DB, &option{}),
			"insert all":       options.InsertAll(ctx, w.DB, []option{{Name: "a"}, {}}),
			"upsert no text":   options.Upsert(ctx, w.DB, &option{}),
			"update no user":   memberships.Update(ctx, w.DB, &membership{Group: id}),
			"insert bad text":  options.Insert(ctx, w.DB, &option{Name: "\xff"}),
			"object of no key": second(memberships.Object(id)),
		} {
			if !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil && strings.Contains(err.Error(), id.String()) {
				t.Errorf("%s: shows the value: %v", name, err)
			}
		}
		_, err := orderLines.Get(ctx, w.DB, id)
		if want := "struct { Order tenancy_test.orderID; SKU tenancy_test.skuID; Position tenancy_test.serial }"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
		if n, err := options.Count(ctx, w.DB); n != 0 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
}

type both struct{ User, Group uuid.UUID }

// TestKeysStay: no change of a row changes its key.
func TestKeysStay(t *testing.T) {
	onShop(t, func(t *testing.T, ctx context.Context, w *tenancytest.World) {
		all := someLines(2)
		must(t, orderLines.InsertAll(ctx, w.DB, all))
		for name, change := range map[string]func(l *orderLine){
			"order":    func(l *orderLine) { l.Order = orderID(uuid.New()) },
			"sku":      func(l *orderLine) { l.SKU += "x" },
			"position": func(l *orderLine) { l.Position += 100 },
		} {
			do := func(l *orderLine) error { change(l); return nil }
			if err := orderLines.Edit(ctx, w.DB, all[0].key(), do); !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: edit: %v", name, err)
			}
			if _, err := orderLines.EditAll(ctx, w.DB, do); !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: edit all: %v", name, err)
			}
			l := all[0]
			change(&l)
			if err := orderLines.Update(ctx, w.DB, &l); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s: update: %v", name, err)
			}
		}
		m := membership{User: uuid.New(), Group: uuid.New(), Role: "owner"}
		must(t, memberships.Insert(ctx, w.DB, &m))
		if got, err := memberships.Get(ctx, w.DB, struct{ Group, User uuid.UUID }{m.Group, m.User}); err != nil || got != m {
			t.Errorf("by names in another order: %v, %v", got, err)
		}
		if _, err := memberships.Get(ctx, w.DB, both{m.Group, m.User}); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("exchanged: %v", err)
		}
	})
}
