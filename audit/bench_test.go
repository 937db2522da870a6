package audit_test

import (
	"context"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// benchEvents is how many events each round of a benchmark seals or verifies.
const benchEvents = 20_000

func onBothB(b *testing.B, fn func(b *testing.B, w *world)) {
	b.Helper()
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) { fn(b, newWorld(b, engine)) })
	}
}

// events writes events without payload.
func (w *world) events(b *testing.B, n int) {
	b.Helper()
	ctx := tenancy.WithActor(tenancy.WithTenant(b.Context(), w.a), tenancy.MustService("bench"))
	must(b, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
		for range n {
			if err := w.log.Record(ctx, "bench.event"); err != nil {
				return err
			}
		}
		return nil
	}))
}

func BenchmarkSeal(b *testing.B) {
	onBothB(b, func(b *testing.B, w *world) {
		for b.Loop() {
			b.StopTimer()
			w.events(b, benchEvents)
			b.StartTimer()
			w.seal(b)
		}
		b.ReportMetric(float64(b.N)*benchEvents/b.Elapsed().Seconds(), "leaves/s")
	})
}

func BenchmarkVerify(b *testing.B) {
	onBothB(b, func(b *testing.B, w *world) {
		w.events(b, benchEvents)
		w.seal(b)
		b.ResetTimer()
		for b.Loop() {
			r, err := audit.Verify(b.Context(), w.db, w.a, nil)
			must(b, err)
			if !r.OK() {
				b.Fatal("not OK")
			}
		}
		b.ReportMetric(float64(b.N)*benchEvents/b.Elapsed().Seconds(), "leaves/s")
	})
}
