package audit_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// pageVisit is a row without people: what is measured is the log, not the keys.
type pageVisit struct {
	ID     uuid.UUID  `art32:"key"    db:"id"`
	Tenant tenancy.ID `art32:"tenant" db:"tenant_id"`
	Page   string     `art32:"open"   db:"page"`
	Hits   int64      `art32:"open"   db:"hits"`
}

var pageVisits = tenancy.MustRepository[pageVisit]("visits")

func visitMigrations(engine string) fstest.MapFS {
	text := `CREATE TABLE visits (id TEXT NOT NULL, tenant_id TEXT NOT NULL, page TEXT NOT NULL, hits INTEGER NOT NULL, PRIMARY KEY (tenant_id, id))`
	if engine == tenancytest.Postgres {
		text = `CREATE TABLE visits (id uuid NOT NULL, tenant_id uuid NOT NULL, page text NOT NULL, hits bigint NOT NULL, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('visits')`
	}
	return fstest.MapFS{"0001_visits.sql": {Data: []byte(text)}}
}

const benchWriters = 8

// writers is a database with audited writers, a sealer that runs, and the same
// table beside it without protection and log, as people write it today.
type writers struct {
	*tenancytest.World

	plain   *sqlx.DB
	tenants []tenancy.ID
	rows    [][]uuid.UUID // of each tenant, one for each writer
	next    atomic.Int64
}

func newWriters(b *testing.B, tenants int) *writers {
	b.Helper()
	w := &writers{World: tenancytest.New(b, tenancy.Schema{pageVisits}, &tenancytest.Options{
		Engine: tenancytest.Postgres, Migrations: visitMigrations(tenancytest.Postgres),
	})}
	w.plain = sqlx.MustOpen("pgx", w.Owner)
	w.plain.SetMaxOpenConns(2 * benchWriters)
	w.plain.SetMaxIdleConns(2 * benchWriters)
	b.Cleanup(func() { _ = w.plain.Close() })
	w.durable(b)
	w.plain.MustExec(`CREATE TABLE plain_visits (id uuid NOT NULL, tenant_id uuid NOT NULL, page text NOT NULL, hits bigint NOT NULL, PRIMARY KEY (tenant_id, id));
		CREATE TABLE chain_heads (tenant_id uuid PRIMARY KEY, n bigint NOT NULL, hash bytea NOT NULL);
		CREATE TABLE chain (tenant_id uuid NOT NULL, n bigint NOT NULL, what text NOT NULL, hash bytea NOT NULL, PRIMARY KEY (tenant_id, n))`)
	for range tenants {
		t, err := w.DB.CreateTenant(w.In(b, tenancy.ID{}), tenancy.Tenant{Name: "bench"})
		must(b, err)
		w.tenants = append(w.tenants, t.ID)
		var ids []uuid.UUID
		for range benchWriters {
			v := pageVisit{Page: "/start"}
			must(b, pageVisits.Insert(w.In(b, t.ID), w.DB, &v))
			w.plain.MustExec(`INSERT INTO plain_visits VALUES ($1, $2, '/start', 0)`, v.ID, t.ID)
			ids = append(ids, v.ID)
		}
		w.rows = append(w.rows, ids)
		w.plain.MustExec(`INSERT INTO chain_heads VALUES ($1, 0, '')`, t.ID)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Sealer.Run(ctx)
	}()
	b.Cleanup(func() { cancel(); <-done })
	return w
}

// durable makes the server wait for the disk, as one in production does.
func (w *writers) durable(b *testing.B) {
	b.Helper()
	var was string
	must(b, w.plain.Get(&was, "SHOW fsync"))
	set := func(to string) {
		w.plain.MustExec("ALTER SYSTEM SET fsync = " + to)
		w.plain.MustExec("SELECT pg_reload_conf()")
	}
	set("on")
	b.Cleanup(func() { set(was) })
	for now := ""; now != "on"; time.Sleep(10 * time.Millisecond) {
		must(b, w.plain.Get(&now, "SHOW fsync"))
	}
}

// window is how long one side writes before the other's turn.
const window = 300 * time.Millisecond

// rate runs do on all writers for a window, and gives transactions a second.
func (w *writers) rate(do func(writer, tenant int)) float64 {
	var n atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for i := range benchWriters {
		all.Go(func() {
			for time.Since(start) < window {
				do(i, int(w.next.Add(1))%len(w.tenants))
				n.Add(1)
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(start).Seconds()
}

// promise reports how many transactions a second ours does for one of the other.
func (w *writers) promise(b *testing.B, name string, least float64, ours, theirs func(writer, tenant int)) {
	b.Helper()
	var ratios []float64
	var best float64
	turn := func() {
		us, them := w.rate(ours), w.rate(theirs)
		best = max(best, us)
		ratios = append(ratios, us/them)
	}
	for turn(); b.Loop(); {
		turn()
	}
	for len(ratios) < 9 {
		turn()
	}
	ratios = ratios[1:] // the first round opens connections
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(best, "tps")
	promise.Report(b, "audit/"+name, "ratio", ratios[len(ratios)/2], promise.AtLeast(least))
}

// BenchmarkWriters compares audited transactions of eight writers, beside a sealer,
// with the ordinary unaudited BeginTx, Exec, Commit without row-level security. Both
// wait for the disk.
func BenchmarkWriters(b *testing.B) {
	for _, tenants := range []int{1, 100} {
		of := map[int]string{1: "1-tenant", 100: "100-tenants"}[tenants]
		b.Run(of, func(b *testing.B) {
			w := newWriters(b, tenants)
			in := make([]context.Context, tenants)
			for i := range in {
				in[i] = w.In(b, w.tenants[i]) //nolint:fatcontext // one beside the other
			}
			plainTx := func(texts []string, args ...[]any) {
				tx, err := w.plain.BeginTxx(b.Context(), nil)
				must(b, err)
				for i, text := range texts {
					_, err := tx.ExecContext(b.Context(), text, args[i]...)
					must(b, err)
				}
				must(b, tx.Commit())
			}
			update := func(writer, tenant int) {
				plainTx([]string{`UPDATE plain_visits SET hits = hits + 1 WHERE tenant_id = $1 AND id = $2`},
					[]any{w.tenants[tenant], w.rows[tenant][writer]})
			}
			b.Run("insert", func(b *testing.B) {
				w.promise(b, "postgres-insert-"+of, 1.15, func(_, tenant int) {
					must(b, pageVisits.Insert(in[tenant], w.DB, &pageVisit{Page: "/start"}))
				}, func(_, tenant int) {
					plainTx([]string{`INSERT INTO plain_visits VALUES ($1, $2, $3, $4)`}, []any{uuid.New(), w.tenants[tenant], "/start", 0})
				})
			})
			b.Run("callers-text", func(b *testing.B) {
				w.promise(b, "postgres-callers-text-"+of, 0.85, func(writer, tenant int) {
					must(b, w.DB.InSQL(in[tenant], func(ctx context.Context, tx *tenancy.SQLTx) error {
						_, err := tx.SQLX().ExecContext(ctx, `UPDATE visits SET hits = hits + 1 WHERE tenant_id = $1 AND id = $2`,
							w.tenants[tenant], w.rows[tenant][writer])
						if err != nil {
							return err
						}
						return w.Log.Record(ctx, "visits.count", slog.Int("hits", 1))
					}))
				}, update)
			})
			b.Run("edit", func(b *testing.B) {
				w.promise(b, "postgres-edit-"+of, 0.8, func(writer, tenant int) {
					must(b, pageVisits.Edit(in[tenant], w.DB, w.rows[tenant][writer], func(v *pageVisit) error { v.Hits++; return nil }))
				}, func(writer, tenant int) {
					tx, err := w.plain.BeginTxx(b.Context(), nil)
					must(b, err)
					var hits int64
					must(b, tx.GetContext(b.Context(), &hits, `SELECT hits FROM plain_visits WHERE tenant_id = $1 AND id = $2 FOR UPDATE`,
						w.tenants[tenant], w.rows[tenant][writer]))
					_, err = tx.ExecContext(b.Context(), `UPDATE plain_visits SET hits = $3 WHERE tenant_id = $1 AND id = $2`,
						w.tenants[tenant], w.rows[tenant][writer], hits+1)
					must(b, err)
					must(b, tx.Commit())
				})
			})
			if tenants > 1 {
				return
			}
			b.Run("chain", func(b *testing.B) {
				w.promise(b, "postgres-against-chain", 4, func(_, tenant int) {
					must(b, pageVisits.Insert(in[tenant], w.DB, &pageVisit{Page: "/start"}))
				}, func(_, tenant int) { w.chained(b, w.tenants[tenant]) })
			})
		})
	}
}

// chained is an insert whose event is the next link of a chain of hashes: its head
// is locked, so that the links have an order.
func (w *writers) chained(b *testing.B, tenant tenancy.ID) {
	b.Helper()
	ctx := b.Context()
	tx, err := w.plain.BeginTxx(ctx, nil)
	must(b, err)
	id := uuid.New()
	_, err = tx.ExecContext(ctx, `INSERT INTO plain_visits VALUES ($1, $2, $3, $4)`, id, tenant, "/start", 0)
	must(b, err)
	var head struct {
		N    int64  `db:"n"`
		Hash []byte `db:"hash"`
	}
	must(b, tx.GetContext(ctx, &head, `SELECT n, hash FROM chain_heads WHERE tenant_id = $1 FOR UPDATE`, tenant))
	hash := sha256.Sum256(append(head.Hash, id[:]...))
	_, err = tx.ExecContext(ctx, `INSERT INTO chain VALUES ($1, $2, $3, $4)`, tenant, head.N+1, "pageVisits.insert "+id.String(), hash[:])
	must(b, err)
	_, err = tx.ExecContext(ctx, `UPDATE chain_heads SET n = n + 1, hash = $2 WHERE tenant_id = $1`, tenant, hash[:])
	must(b, err)
	must(b, tx.Commit())
}

// BenchmarkWriterSQLite compares one audited transaction with the same without
// audit, in a file of the same settings.
func BenchmarkWriterSQLite(b *testing.B) {
	for _, x := range []struct {
		name, pragma string
		durability   sqlite.Durability
		most         float64
	}{
		{"full", "FULL", sqlite.DurabilityFull, 1 / 0.92}, {"normal", "NORMAL", sqlite.DurabilityUnsafeProcess, 1 / 0.7},
	} {
		b.Run(x.name, func(b *testing.B) {
			w := tenancytest.New(b, tenancy.Schema{pageVisits}, &tenancytest.Options{Migrations: visitMigrations("")})
			db, err := sqlite.Open(b.Context(), w.Dir, tenancy.Schema{pageVisits}, w.Keys, w.Log, &sqlite.Options{
				Migrations: visitMigrations(""), Durability: x.durability,
			})
			must(b, err)
			defer db.Close()
			ctx := w.In(b, w.A)
			must(b, pageVisits.Insert(ctx, db, &pageVisit{Page: "/start"}))
			path := filepath.Join(b.TempDir(), "plain.db")
			must(b, os.WriteFile(path, nil, 0o600))
			plain, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous("+x.pragma+")")
			must(b, err)
			defer plain.Close()
			plain.SetMaxOpenConns(1)
			_, err = plain.ExecContext(b.Context(), strings.TrimSuffix(string(visitMigrations("")["0001_visits.sql"].Data), ";"))
			must(b, err)
			ratio := promise.Ratio(b, func(n int) {
				for range n {
					must(b, pageVisits.Insert(ctx, db, &pageVisit{Page: "/start"}))
				}
			}, func(n int) {
				for range n {
					tx, err := plain.BeginTx(b.Context(), nil)
					must(b, err)
					_, err = tx.ExecContext(b.Context(), `INSERT INTO visits VALUES ($1, $2, $3, $4)`, uuid.NewString(), w.A.String(), "/start", 0)
					must(b, err)
					must(b, tx.Commit())
				}
			})
			promise.Report(b, "audit/sqlite-insert-"+x.name, "ratio", 1/ratio, promise.AtLeast(1/x.most))
		})
	}
}
