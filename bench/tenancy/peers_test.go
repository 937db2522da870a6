package tenancy_test

import (
	"context"
	"testing"
	"testing/fstest"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	gormpg "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/art32/art32/bench/tenancy/ent"
	entitem "github.com/art32/art32/bench/tenancy/ent/item"
	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
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

var migrations = fstest.MapFS{"postgres/0001_items.sql": {Data: []byte(`
	CREATE TABLE items (tenant_id uuid, id uuid, a text NOT NULL, b text NOT NULL, c text NOT NULL, d text NOT NULL, e text NOT NULL,
		n bigint NOT NULL, m bigint NOT NULL, p bool NOT NULL, PRIMARY KEY (tenant_id, id));
	SELECT art32.protect('items');`)}}

// gormItem is the row as gorm declares it.
type gormItem struct {
	ID            uuid.UUID `gorm:"type:uuid;primaryKey"`
	TenantID      uuid.UUID `gorm:"type:uuid;primaryKey"`
	A, B, C, D, E string
	N, M          int64
	P             bool
}

func (gormItem) TableName() string { return "items" }

// peers are the same rows by three libraries: ours under row-level security, theirs
// as superuser, without it, with a predicate of their own.
type peers struct {
	w      *tenancytest.World
	ctx    context.Context
	tenant uuid.UUID
	ids    []uuid.UUID
	gorm   *gorm.DB
	ent    *ent.Client
}

func newPeers(b *testing.B) *peers {
	b.Helper()
	w := tenancytest.New(b, tenancy.Schema{items}, &tenancytest.Options{Engine: tenancytest.Postgres, Migrations: migrations})
	p := &peers{w: w, ctx: w.In(b, w.A), tenant: w.A.UUID()}
	rows := make([]item, 100)
	for i := range rows {
		rows[i] = item{A: "some text", B: "more", C: "of", D: "the", E: "same", N: int64(i), P: true}
	}
	must(b, items.InsertAll(p.ctx, w.DB, rows))
	for i := range rows {
		p.ids = append(p.ids, rows[i].ID)
	}
	raw := w.Raw(b, w.A)
	_, err := raw.ExecContext(b.Context(), `INSERT INTO items SELECT gen_random_uuid(), gen_random_uuid(), 'some text', 'more', 'of', 'the', 'same', i, i, true
		FROM generate_series(1, 100000) i`)
	must(b, err)
	_, err = raw.ExecContext(b.Context(), "ANALYZE items")
	must(b, err)
	p.gorm, err = gorm.Open(gormpg.Open(w.Owner), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	must(b, err)
	config, err := pgx.ParseConfig(w.Owner)
	must(b, err)
	db := stdlib.OpenDB(*config)
	b.Cleanup(func() { _ = db.Close() })
	p.ent = ent.NewClient(ent.Driver(entsql.OpenDB("postgres", db)))
	return p
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGet reads one row by its id.
func BenchmarkGet(b *testing.B) {
	p := newPeers(b)
	ours := func(n int) {
		for i := range n {
			_, err := items.Get(p.ctx, p.w.DB, p.ids[i%100])
			must(b, err)
		}
	}
	p.against(b, "get", ours, func(n int) {
		for i := range n {
			var it gormItem
			must(b, p.gorm.WithContext(p.ctx).Where("tenant_id = ? AND id = ?", p.tenant, p.ids[i%100]).Take(&it).Error)
		}
	}, func(n int) {
		for i := range n {
			_, err := p.ent.Item.Query().Where(entitem.TenantID(p.tenant), entitem.ID(p.ids[i%100])).Only(p.ctx)
			must(b, err)
		}
	})
}

// BenchmarkList reads a hundred rows.
func BenchmarkList(b *testing.B) {
	p := newPeers(b)
	ours := func(n int) {
		for range n {
			for _, err := range items.List(p.ctx, p.w.DB) {
				must(b, err)
			}
		}
	}
	p.against(b, "list-100", ours, func(n int) {
		for range n {
			var all []gormItem
			must(b, p.gorm.WithContext(p.ctx).Where("tenant_id = ?", p.tenant).Order("id").Limit(500).Find(&all).Error)
			if len(all) != 100 {
				b.Fatal(len(all))
			}
		}
	}, func(n int) {
		for range n {
			all, err := p.ent.Item.Query().Where(entitem.TenantID(p.tenant)).Order(entitem.ByID()).Limit(500).All(p.ctx)
			must(b, err)
			if len(all) != 100 {
				b.Fatal(len(all))
			}
		}
	})
}

func (p *peers) against(b *testing.B, what string, ours, byGorm, byEnt func(n int)) {
	b.Helper()
	for name, theirs := range map[string]func(int){"gorm": byGorm, "ent": byEnt} {
		b.Run(name, func(b *testing.B) {
			promise.Report(b, "tenancy/"+name+"-"+what, "ratio", promise.Ratio(b, ours, theirs), promise.AtMost(1))
		})
	}
}
