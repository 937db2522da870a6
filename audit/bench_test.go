package audit_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/promise"
	"github.com/art32/art32/tenancy"
)

const (
	// benchEvents is how many events each round of sealing seals.
	benchEvents = 20_000
	million     = 1_000_000
)

func onBothB(b *testing.B, fn func(b *testing.B, w *world)) {
	b.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) { fn(b, newWorld(b, engine)) })
	}
}

// events writes n events to the log of a tenant in transactions of ten thousand, each
// with a payload or without.
func (w *world) events(b *testing.B, tenant tenancy.ID, n int, attrs ...slog.Attr) {
	b.Helper()
	ctx := tenancy.WithActor(tenancy.WithTenant(b.Context(), tenant), tenancy.MustService("bench"))
	for ; n > 0; n -= 10_000 {
		must(b, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
			for range min(n, 10_000) {
				if err := w.log.Record(ctx, "bench.event", attrs...); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func BenchmarkSeal(b *testing.B) {
	onBothB(b, func(b *testing.B, w *world) {
		least := map[string]float64{"sqlite": 250_000, "postgres": 60_000}[w.engine]
		for b.Loop() {
			b.StopTimer()
			w.events(b, w.a, benchEvents)
			b.StartTimer()
			w.seal(b)
		}
		promise.Report(b, "audit/seal-"+w.engine, "leaves/s", float64(b.N)*benchEvents/b.Elapsed().Seconds(), promise.AtLeast(least))
	})
}

// BenchmarkSealManyLogs seals a thousand logs of two events each.
func BenchmarkSealManyLogs(b *testing.B) {
	onBothB(b, func(b *testing.B, w *world) {
		var tenants []tenancy.ID
		for range 1000 {
			t, err := w.db.CreateTenant(w.as(b.Context()), tenancy.Tenant{Name: "bench"})
			must(b, err)
			tenants = append(tenants, t.ID)
			w.events(b, t.ID, 1)
		}
		w.seal(b)
		for b.Loop() {
			b.StopTimer()
			for _, t := range tenants {
				w.events(b, t, 2)
			}
			b.StartTimer()
			w.seal(b)
		}
		b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "logs/s")
	})
}

// BenchmarkVerify verifies a million entries, each with a payload, and watches the
// heap meanwhile; and proves one of them.
func BenchmarkVerify(b *testing.B) {
	onBothB(b, func(b *testing.B, w *world) {
		w.events(b, w.a, million, slog.String("page", "/start"))
		w.seal(b)
		peak, stop := watchHeap()
		for b.Loop() {
			r, err := audit.Verify(b.Context(), w.db, w.a, nil)
			must(b, err)
			if !r.OK() || r.Size != million {
				b.Fatal("not OK")
			}
		}
		stop()
		promise.Report(b, "audit/verify-million-"+w.engine, "s", b.Elapsed().Seconds()/float64(b.N), promise.AtMost(6))
		promise.Report(b, "audit/verify-million-heap-"+w.engine, "MiB", float64(peak())/(1<<20), promise.AtMost(64))
		event := w.anEvent(b)
		start := time.Now()
		const proofs = 100
		for range proofs {
			_, err := audit.Prove(b.Context(), w.db, w.a, event)
			must(b, err)
		}
		promise.Report(b, "audit/prove-"+w.engine, "ms", time.Since(start).Seconds()*1e3/proofs, promise.AtMost(1))
	})
}

// watchHeap watches by how much the heap grows.
func watchHeap() (peak func() uint64, stop func()) {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	before := now.HeapInuse
	var most atomic.Uint64
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
		}
	}()
	return func() uint64 { return most.Load() - min(before, most.Load()) }, func() { close(done) }
}

// anEvent is one of the events of tenant a.
func (w *world) anEvent(b *testing.B) (id uuid.UUID) {
	b.Helper()
	for e, err := range w.log.Events(w.in(b.Context(), w.a), w.db, audit.Filter{}) {
		must(b, err)
		return e.ID
	}
	b.Fatal("no event")
	return id
}
