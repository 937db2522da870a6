package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type item struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	A      string     `db:"a"         art32:"open"`
	B      string     `db:"b"         art32:"open"`
	C      string     `db:"c"         art32:"open"`
	D      string     `db:"d"         art32:"open"`
	E      string     `db:"e"         art32:"open"`
	N      int64      `db:"n"         art32:"open"`
	M      int64      `db:"m"         art32:"open"`
	P      bool       `db:"p"         art32:"open"`
}

var items = tenancy.MustRepository[item]("items")

const itemColumns = "id, tenant_id, a, b, c, d, e, n, m, p"

// bench is a database with a protected table and the same without protection.
type bench struct {
	*world

	plain  *sqlx.DB // superuser: no row-level security
	tenant tenancy.ID
	ids    []uuid.UUID
}

func newBench(b *testing.B) *bench {
	b.Helper()
	w := newWorld(b)
	x := &bench{world: w, plain: sqlx.MustOpen("pgx", w.owner)}
	b.Cleanup(func() { _ = x.plain.Close() })
	x.plain.MustExec(`CREATE TABLE items (tenant_id uuid, id uuid, a text, b text, c text, d text, e text, n bigint, m bigint, p bool,
		PRIMARY KEY (tenant_id, id));
		ALTER TABLE items OWNER TO ` + w.role(b, "owner") + `; SELECT art32.protect('items')`)
	x.tenant, _ = tenancy.TenantFrom(w.a)
	x.plain.MustExec(`INSERT INTO items SELECT $1, gen_random_uuid(), 'some text', 'more', 'of', 'the', 'same', i, i, true FROM generate_series(1, 100) i`, x.tenant)
	x.plain.MustExec(`INSERT INTO items SELECT gen_random_uuid(), gen_random_uuid(), 'some text', 'more', 'of', 'the', 'same', i, i, true FROM generate_series(1, 100000) i`)
	x.plain.MustExec(`ANALYZE items`)
	if err := x.plain.Select(&x.ids, `SELECT id FROM items WHERE tenant_id = $1`, x.tenant); err != nil {
		b.Fatal(err)
	}
	var err error
	x.db, err = postgres.Open(b.Context(), w.logins, tenancy.Schema{items}, w.keys, trace{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = x.db.Close() })
	return x
}

func (w *world) role(tb testing.TB, kind string) string {
	tb.Helper()
	db := sqlx.MustOpen("pgx", w.owner)
	defer db.Close()
	var name string
	if err := db.Get(&name, "SELECT quote_ident(current_database() || '_' || $1)", kind); err != nil {
		tb.Fatal(err)
	}
	return name
}

func must(b testing.TB, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// comparison is a promise of how long work takes in rounds of a baseline.
type comparison struct {
	name           string
	work, baseline func(n int)
	most           float64
}

func compare(b *testing.B, all []comparison) {
	b.Helper()
	for _, c := range all {
		b.Run(c.name, func(b *testing.B) {
			promise.Report(b, "tenancy/postgres-"+c.name, "ratio", promise.Ratio(b, c.work, c.baseline), promise.AtMost(c.most))
		})
	}
}

// BenchmarkGet compares with sqlx and a predicate of its own, without row-level
// security, and with the usual way under it: BeginTx, set_config, statement, Commit.
func BenchmarkGet(b *testing.B) {
	x := newBench(b)
	ctx := x.a
	usual := sqlx.MustOpen("pgx", x.logins.Library)
	b.Cleanup(func() { _ = usual.Close() })
	const text = "SELECT " + itemColumns + " FROM items WHERE tenant_id = $1 AND id = $2"
	own := func(n int) {
		for i := range n {
			var it item
			must(b, x.plain.GetContext(ctx, &it, text, x.tenant, x.ids[i%100]))
		}
	}
	underRLS := func(n int) {
		for i := range n {
			tx, err := usual.BeginTxx(ctx, nil)
			must(b, err)
			_, err = tx.ExecContext(ctx, "SELECT set_config('art32.tenant', $1, true)", x.tenant.String())
			must(b, err)
			var it item
			must(b, tx.GetContext(ctx, &it, text, x.tenant, x.ids[i%100]))
			must(b, tx.Commit())
		}
	}
	library := func(n int) {
		for i := range n {
			_, err := items.Get(ctx, x.db, x.ids[i%100])
			must(b, err)
		}
	}
	where := func(n int) {
		for i := range n {
			rows := 0
			for _, err := range items.List(ctx, x.db, tenancy.Where("id = $1", x.ids[i%100])) {
				must(b, err)
				rows++
			}
			if rows != 1 {
				b.Fatal(rows)
			}
		}
	}
	caller := func(n int) {
		for i := range n {
			must(b, x.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				var it item
				return tx.SQLX().GetContext(ctx, &it, "SELECT "+itemColumns+" FROM items WHERE id = $1", x.ids[i%100])
			}))
		}
	}
	compare(b, []comparison{
		{"get-library", library, own, 1.05},
		{"get-caller", caller, own, 1.45},
		{"get-caller-where", where, own, 1.45},
		{"get-caller-where-usual", where, underRLS, 0.65},
		{"get-library-usual", library, underRLS, 0.4},
		{"get-caller-usual", caller, underRLS, 0.65},
	})
}

// BenchmarkCount counts 10,000 of a million rows, against the same predicate without
// row-level security.
func BenchmarkCount(b *testing.B) {
	x := newBench(b)
	x.plain.MustExec(`INSERT INTO items SELECT $1, gen_random_uuid(), 'some text', 'more', 'of', 'the', 'same', i, i, true FROM generate_series(1, 9900) i`, x.tenant)
	x.plain.MustExec(`INSERT INTO items SELECT t, gen_random_uuid(), 'some text', 'more', 'of', 'the', 'same', i, i, true
		FROM (SELECT gen_random_uuid() AS t FROM generate_series(1, 90)) t, generate_series(1, 10000) i`)
	x.plain.MustExec(`VACUUM ANALYZE items`)
	ratio := promise.Ratio(b, func(n int) {
		for range n {
			if got, err := items.Count(x.a, x.db); err != nil || got != 10_000 {
				b.Fatal(got, err)
			}
		}
	}, func(n int) {
		for range n {
			var got int
			must(b, x.plain.GetContext(x.a, &got, "SELECT count(*) FROM items WHERE tenant_id = $1", x.tenant))
			if got != 10_000 {
				b.Fatal(got)
			}
		}
	})
	promise.Report(b, "tenancy/postgres-count", "ratio", ratio, promise.AtMost(1.05))
}

func BenchmarkList100(b *testing.B) {
	x := newBench(b)
	ctx := x.a
	ratio := promise.Ratio(b, func(n int) {
		for range n {
			for _, err := range items.List(ctx, x.db) {
				must(b, err)
			}
		}
	}, func(n int) {
		for range n {
			var all []item
			must(b, x.plain.SelectContext(ctx, &all, "SELECT "+itemColumns+" FROM items WHERE tenant_id = $1 ORDER BY id LIMIT 500", x.tenant))
		}
	})
	promise.Report(b, "tenancy/postgres-list-100", "ratio", ratio, promise.AtMost(0.95))
}

// BenchmarkInsert compares the library's insert, which writes an event beside the row,
// and a caller's, with the insert of sqlx without row-level security or event, and the
// caller's with the usual way.
func BenchmarkInsert(b *testing.B) {
	x := newBench(b)
	ctx := x.a
	usual := sqlx.MustOpen("pgx", x.logins.Library)
	b.Cleanup(func() { _ = usual.Close() })
	const text = "INSERT INTO items (" + itemColumns + ") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)"
	values := func(i int) []any {
		return []any{uuid.New(), x.tenant.String(), "some text", fmt.Sprint(i), "", "", "", 0, 0, false}
	}
	own := func(n int) {
		for i := range n {
			_, err := x.plain.ExecContext(ctx, text, values(i)...)
			must(b, err)
		}
	}
	underRLS := func(n int) {
		for i := range n {
			tx, err := usual.BeginTxx(ctx, nil)
			must(b, err)
			_, err = tx.ExecContext(ctx, "SELECT set_config('art32.tenant', $1, true)", x.tenant.String())
			must(b, err)
			_, err = tx.ExecContext(ctx, text, values(i)...)
			must(b, err)
			must(b, tx.Commit())
		}
	}
	library := func(n int) {
		for i := range n {
			must(b, items.Insert(ctx, x.db, &item{A: "some text", B: fmt.Sprint(i)}))
		}
	}
	caller := func(n int) {
		for i := range n {
			must(b, x.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, text, values(i)...)
				return err
			}))
		}
	}
	compare(b, []comparison{
		{"insert-with-event", library, own, 1.1},
		{"insert-with-event-usual", library, underRLS, 0.4},
		{"insert-caller", caller, own, 1.6},
		{"insert-caller-usual", caller, underRLS, 0.65},
	})
}

func BenchmarkAllocs(b *testing.B) {
	x := newBench(b)
	get := testing.AllocsPerRun(200, func() {
		_, err := items.Get(x.a, x.db, x.ids[0])
		must(b, err)
	})
	list := testing.AllocsPerRun(200, func() {
		for _, err := range items.List(x.a, x.db) {
			must(b, err)
		}
	})
	for b.Loop() { // the figures are no time
	}
	promise.Report(b, "tenancy/postgres-get-allocations", "allocs", get, promise.AtMost(40))
	promise.Report(b, "tenancy/postgres-list-100-allocations", "allocs", list, promise.AtMost(200))
}

// BenchmarkInsertAll writes a hundred rows, each with its event, against sqlx that
// writes them one by one in a transaction, without events.
func BenchmarkInsertAll(b *testing.B) {
	x := newBench(b)
	ratio := promise.Ratio(b, func(n int) {
		for range n {
			rows := make([]item, 100)
			must(b, items.InsertAll(x.a, x.db, rows))
		}
	}, func(n int) {
		for range n {
			tx := x.plain.MustBegin()
			for range 100 {
				tx.MustExecContext(x.a, "INSERT INTO items ("+itemColumns+") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)",
					uuid.New(), x.tenant, "", "", "", "", "", 0, 0, false)
			}
			must(b, tx.Commit())
		}
	})
	promise.Report(b, "tenancy/postgres-insert-100-with-events", "ratio", ratio, promise.AtMost(1))
}
