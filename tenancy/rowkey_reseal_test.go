package tenancy_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// shopLines is how many rows the walks through a table meet: more than two pages.
const shopLines = 2300

// eachShop runs fn on both engines, over tables that are full, and with a database that
// knows them by their description alone.
func eachShop(t *testing.T, fn func(t *testing.T, w *clubWorld, all []orderLine, described *tenancy.DB)) {
	t.Helper()
	for _, name := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			world := tenancytest.New(t, shop, &tenancytest.Options{
				Engine: name, Migrations: shopMigrations, Keyring: &keyring.Options{TTL: shortTTL, Grace: shortTTL},
			})
			w := &clubWorld{World: world, instance: &instance{db: world.DB, keys: world.Keys, log: world.Log}, ctx: world.In(t, world.A)}
			all := someLines(shopLines)
			must(t, orderLines.InsertAll(w.ctx, w.db, all))
			must(t, options.InsertAll(w.ctx, w.db, []option{{Name: `a"\'{},`, Value: field.New("1")}, {Name: "7", Value: field.New("2")}, {Name: "ü", Value: field.New("3")}}))
			must(t, readings.InsertAll(w.ctx, w.db, []reading{{ID: -9, Value: field.New("1")}, {ID: 10, Value: field.New("2")}}))
			s, err := tenancy.Described(shop.Info())
			must(t, err)
			described, err := tenancy.New(w.DB.Engine(engine.Library), s, w.keys, w.log, nil)
			must(t, err)
			fn(t, w, all, described)
		})
	}
}

// whole wants every row readable and found by its index.
func wholeShop(t *testing.T, w *clubWorld, all []orderLine) {
	t.Helper()
	n := 0
	for l, err := range orderLines.List(w.ctx, w.db) {
		must(t, err)
		if _, err := l.Text.Reveal(); err != nil {
			t.Fatalf("%v: %v", l.key(), err)
		}
		n++
	}
	for _, i := range []int{0, 7, len(all) - 1} {
		got, err := orderLines.Get(w.ctx, w.db, all[i].key())
		must(t, err)
		if text, err := got.Text.Reveal(); text != fmt.Sprintf("line %d", i) || err != nil {
			t.Errorf("%v: %q, %v", got.key(), text, err)
		}
		if n, err := orderLines.Count(w.ctx, w.db, lineText.Eq(fmt.Sprintf("line %d", i))); n != 1 || err != nil {
			t.Errorf("line %d: found %d (%v)", i, n, err)
		}
	}
	o, err := options.Get(w.ctx, w.db, `a"\'{},`)
	must(t, err)
	if v, err := o.Value.Reveal(); n != len(all) || v != "1" || err != nil {
		t.Errorf("%d rows of %d; %q, %v", n, len(all), v, err)
	}
}

// TestResealOfKeys: a run over keys of every kind, known by their description, seals
// each cell anew, once.
func TestResealOfKeys(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, w *clubWorld, all []orderLine, described *tenancy.DB) {
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys, keyring.DataKey)
		twice := all[3]
		twice.Position, twice.Text, twice.Version = 77, field.New("line 9"), 0
		if err := orderLines.Insert(w.ctx, w.db, &twice); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("a value that another row has under the older version: %v", err)
		}
		must(t, orderLines.Edit(w.ctx, w.db, all[9].key(), func(l *orderLine) error { l.Text = field.New("line 9"); l.Cents++; return nil }))
		r, err := described.Reseal(w.ctx, nil)
		must(t, err)
		cells := len(all) + 3 + 2
		if !r.Complete() || r.Broken() != 0 || r.Overtaken != 0 || r.Resealed < cells-1 || r.Resealed > cells || r.Reindexed < len(all)-1 {
			t.Errorf("resealed %d and %d of %d: %+v", r.Resealed, r.Reindexed, cells, r)
		}
		wholeShop(t, w, all)
		if r, err := described.KeyReport(w.ctx); err != nil || r.Broken() != 0 || r.Left() != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// TestResealOfForeignKeys: rows of a SQLite file whose keys nobody writes are counted,
// and end no run.
func TestResealOfForeignKeys(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := tenancytest.New(t, shop, &tenancytest.Options{Migrations: shopMigrations})
	ctx := w.In(t, w.A)
	must(t, options.Insert(ctx, w.DB, &option{Name: "a", Value: field.New("1")}))
	raw := w.Raw(t, w.A)
	for _, key := range []string{"CAST(x'ff' AS TEXT)", "x'61'", "CAST(x'6100' AS TEXT)", "''"} {
		_, err := raw.ExecContext(t.Context(), "INSERT INTO options SELECT tenant_id, "+key+", value FROM options WHERE name = 'a'")
		must(t, err)
	}
	r, err := w.DB.Reseal(ctx, &tenancy.ResealOptions{Indexes: true})
	must(t, err)
	for _, x := range r.Tables {
		if x.Table == "options" && (x.NoKey != 2 || x.Columns[0].Broken.Count != 2 || x.Columns[0].Current != 1) {
			t.Errorf("%+v", x)
		}
	}
}

// TestEraseOfKeys: a person, then the tenant, by descriptions; the walk passes every
// row of a key of several columns.
func TestEraseOfKeys(t *testing.T) {
	t.Parallel()
	eachShop(t, func(t *testing.T, w *clubWorld, all []orderLine, described *tenancy.DB) {
		person := uuid.UUID(all[0].Client)
		must(t, described.Erase(w.ctx, person))
		about := 0
		for _, l := range all {
			about += b2i(l.Client == all[0].Client)
		}
		for l, err := range orderLines.List(w.ctx, w.db) {
			must(t, err)
			_, rerr := l.Text.Reveal()
			if gone := l.Client == all[0].Client; gone != errors.Is(rerr, field.ErrErased) || gone != (l.Note == "") {
				t.Fatalf("%v: %q, %v", l.key(), l.Note, rerr)
			}
		}
		table := "shop.order_lines"
		if w.Engine == tenancytest.SQLite {
			table = "shop_order_lines"
		}
		left := func() (n int) {
			text := "SELECT count(*) FROM " + table + " WHERE tenant_id = $1 AND (note <> '' OR text_bidx IS NOT NULL)"
			must(t, w.Raw(t, w.A).QueryRowContext(t.Context(), text, w.A.String()).Scan(&n))
			return n
		}
		if n := left(); n != len(all)-about {
			t.Errorf("%d rows left of %d", n, len(all)-about)
		}
		c, err := described.Census(w.ctx)
		must(t, err)
		if c.Records != len(all)+5 || c.Subjects != 3 {
			t.Errorf("%+v", c)
		}
		described.ClearPage(300)
		pages := 0
		described.OnStep(func(step string) { pages += b2i(step == "page") })
		must(t, described.EraseTenant(w.ctx))
		if n := left(); n != 0 || pages < len(all)/300 {
			t.Errorf("%d rows left after %d pages", n, pages)
		}
	})
}
