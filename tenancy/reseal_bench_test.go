package tenancy_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// BenchmarkReseal rotates the keys of people with three fields each, of which two
// are indexed, and seals everything anew. $ART32_RESEAL_PEOPLE sets their number.
func BenchmarkReseal(b *testing.B) {
	people := 5000
	if n, err := strconv.Atoi(os.Getenv("ART32_RESEAL_PEOPLE")); err == nil {
		people = n
	}
	for _, kind := range engines {
		b.Run(kind, func(b *testing.B) {
			w := newClub(b, kind)
			w.fill(b, people)
			for b.Loop() {
				b.StopTimer()
				w.rotate(b, keyring.SubjectKeys, keyring.IndexKeys)
				w.analyze(b)
				b.StartTimer()
				w.measured(b, people)
			}
			rows := float64(b.N) * float64(people)
			b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(3*rows/b.Elapsed().Seconds(), "fields/s")
		})
	}
}

// measured reseals and reports the most memory that the heap held meanwhile.
func (w *clubWorld) measured(b *testing.B, people int) {
	b.Helper()
	var most uint64
	r, err := w.db.Reseal(w.ctx, &tenancy.ResealOptions{Progress: func(tenancy.ResealProgress) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}})
	must(b, err)
	if r.Resealed != 3*people || !r.Complete() {
		b.Fatalf("%+v", r)
	}
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
}

// fill puts people into the table without a word to the log.
func (w *clubWorld) fill(b *testing.B, people int) {
	b.Helper()
	key, err := w.keys.IndexKeys(w.ctx, w.A.UUID())
	must(b, err)
	mails, err := field.NewUniqueIndex(key[0].Key, "members.email", field.Email)
	must(b, err)
	names, err := field.NewIndex(key[0].Key, "members.name", field.Casefold, 1<<16)
	must(b, err)
	table := "public.members"
	if w.Engine == "sqlite" {
		table = "members"
	}
	const batch = 500
	for from := 0; from < people; from += batch {
		ids := make([]uuid.UUID, min(batch, people-from))
		for i := range ids {
			ids[i] = uuid.New()
		}
		ciphers, err := w.keys.CreateCiphers(w.ctx, w.A.UUID(), ids)
		must(b, err)
		must(b, w.db.In(w.ctx, func(_ context.Context, tx *tenancy.Tx) error {
			for i, id := range ids {
				seal := func(column, text string) []byte {
					s := field.Scope{Tenant: w.A.String(), Table: "members", Column: column, Row: id.String()}
					sealed, err := ciphers[id].Seal(nil, []byte(text), s)
					must(b, err)
					return sealed
				}
				mail, name := fmt.Sprintf("person%d@example.org", from+i), fmt.Sprintf("Person Number %d", from+i)
				tx.Engine(engine.Library).Queue(engine.Stmt{
					SQL:  "INSERT INTO " + table + " (tenant_id, id, email, email_bidx, name, name_bidx, score, plan) VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
					Args: []any{w.A.UUID(), id, seal("email", mail), mails.Sum(mail), seal("name", name), names.Sum(name), seal("score", strings.Repeat("x", 8))},
				})
			}
			return nil
		}))
	}
}

// analyze does what autovacuum does in its own time.
func (w *clubWorld) analyze(b *testing.B) {
	b.Helper()
	if w.Engine == "postgres" {
		w.raw(b, "VACUUM ANALYZE members")
		w.raw(b, "VACUUM ANALYZE art32_keys.keys")
	}
}
