package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/art32/art32/audit"
)

// dated sets the times of the events of tenant a that wait.
func (w *world) dated(t *testing.T, at time.Time, which string) {
	t.Helper()
	w.raw(t, fmt.Sprintf(`UPDATE art32.events SET at = %d WHERE leaf IS NULL AND tenant_id = TENANT AND %s`, at.UnixMicro(), which))
}

// The lag is that of the event that has waited longest, wherever it stands in the
// queue.
func TestLag(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.seal(t)
		if all, logs, err := w.sealer.Lag(t.Context()); err != nil || all != (audit.Lag{}) || len(logs) != 0 {
			t.Errorf("nothing waits: %+v, %+v, %v", all, logs, err)
		}
		w.customers(t, 3)
		w.dated(t, time.Now().Add(-time.Hour), "seq = (SELECT max(seq) FROM art32.events WHERE tenant_id = TENANT)")
		all, logs, err := w.sealer.Lag(t.Context())
		must(t, err)
		if len(logs) != 1 || logs[0] != all || all.Tenant != w.a || all.Waiting != 3 || all.Ahead != 0 || all.Oldest < time.Hour || all.Oldest > 2*time.Hour {
			t.Errorf("got %+v of %+v", all, logs)
		}
		figures, err := w.sealer.Check(t.Context())
		must(t, err)
		if got := fmt.Sprint(figures); !strings.Contains(got, "waiting=3") || !strings.Contains(got, "logs=1") || !strings.Contains(got, "ahead=0") {
			t.Errorf("got %s", got)
		}
	})
}

// An event that is dated into the future hides neither itself nor others.
func TestLagOfTheFuture(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.seal(t)
		w.customers(t, 2)
		w.dated(t, time.Now().Add(24*time.Hour), "true")
		first, _, err := w.sealer.Lag(t.Context())
		must(t, err)
		var second audit.Lag
		await(t, func() bool {
			second, _, err = w.sealer.Lag(t.Context())
			must(t, err)
			return second.Oldest >= 20*time.Millisecond
		})
		if first.Oldest < 0 || second.Ahead != 2 {
			t.Errorf("got %+v, then %+v", first, second)
		}
		w.dated(t, time.Now().Add(-time.Hour), "seq = (SELECT max(seq) FROM art32.events WHERE tenant_id = TENANT)")
		if l, _, err := w.sealer.Lag(t.Context()); err != nil || l.Oldest < time.Hour || l.Ahead != 1 {
			t.Errorf("beside one of the future: %+v, %v", l, err)
		}
	})
}

// logged is what a logger has written, read beside it.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// An instance that waits for the lease of one that seals nothing gives the alarm,
// once, and says when it is over. It sets the process-wide provider of metrics, so
// that it does not run in parallel.
func TestLagAlarm(t *testing.T) {
	t.Attr("art32.measure", "TOM-5.1")
	reader := metric.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	defer otel.SetMeterProvider(before)
	w := newWorld(t, "sqlite")
	w.customers(t, 1)
	hangs, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Interval: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer running(t, hangs.Run)()
	await(t, func() bool { return w.verify(t, nil).Size == 1 }) // then it has the lease, and sleeps for an hour
	w.customers(t, 1)
	w.dated(t, time.Now().Add(-time.Hour), "true")
	out := &logged{}
	waits, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{
		Interval: 5 * time.Millisecond, MaxLag: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(out, nil)),
	})
	must(t, err)
	stop := running(t, waits.Run)
	await(t, func() bool { return out.count("events wait too long") > 0 })
	time.Sleep(50 * time.Millisecond) // several looks more
	w.seal(t)
	await(t, func() bool { return out.count("has caught up") > 0 })
	stop()
	if out.count("events wait too long") != 1 || out.count("level=ERROR") != 1 || out.count("gruenwald") != 0 {
		t.Errorf("logged:\n%s", &out.b)
	}
	var data metricdata.ResourceMetrics
	must(t, reader.Collect(context.Background(), &data))
	told := fmt.Sprintf("%+v", data.ScopeMetrics)
	if !strings.Contains(told, "art32.audit.seal.lag") || strings.Contains(told, w.a.String()) {
		t.Errorf("metrics: %s", told)
	}
}
