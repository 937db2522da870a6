package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// absent reports whether a tenant was closed and has no file any more: on SQLite
// all that are listed are known otherwise.
func absent(db *tenancy.DB, err error) bool {
	return db.Engine(engine.Library).Dialect() == migrate.SQLite && errors.Is(err, tenancy.ErrUnknownTenant)
}

func (p *Publisher) isSettled(key heldAt, c Checkpoint) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settled[key] == c
}

func (p *Publisher) settle(key heldAt, c Checkpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settled[key] = c
}

// alarm logs a disagreement once, and again when it looks otherwise.
func (p *Publisher) alarm(ctx context.Context, key heldAt, d *Disagreement) {
	p.mu.Lock()
	known := p.alarmed[key] == d.Looks
	p.alarmed[key] = d.Looks
	p.mu.Unlock()
	if !known {
		p.o.Logger.ErrorContext(ctx, "audit: a log did not grow from what is held outside: nothing is published for it",
			slog.String("place", d.Place), slog.String("log", d.Origin), slog.String("looks_like", string(d.Looks)),
			slog.Int64("held", d.Held), slog.Int64("ours", d.Ours))
	}
}

// failed logs once that a place cannot be used.
func (p *Publisher) failed(ctx context.Context, place string, err error) {
	p.mu.Lock()
	known := p.failing[place]
	p.failing[place] = true
	p.mu.Unlock()
	if !known {
		p.o.Logger.ErrorContext(ctx, "audit: heads of logs cannot be brought to a place", slog.String("place", place), slog.Any("error", err))
	}
}

// agreed logs that a place and a log agree again.
func (p *Publisher) agreed(ctx context.Context, key heldAt) {
	p.mu.Lock()
	looked, failing := p.alarmed[key], p.failing[key.place]
	delete(p.alarmed, key)
	delete(p.failing, key.place)
	p.mu.Unlock()
	if looked != "" {
		p.o.Logger.InfoContext(ctx, "audit: a place and a log agree again", slog.String("place", key.place), slog.String("log", key.origin))
	}
	if failing {
		p.o.Logger.InfoContext(ctx, "audit: a place takes heads of logs again", slog.String("place", key.place))
	}
}

const scopeName = "github.com/art32/art32/audit"

// publishTelemetry holds the publisher's instruments (OpenTelemetry). They carry
// the names of places only: no tenant, no log.
type publishTelemetry struct {
	heads     metric.Int64Counter
	differing metric.Int64Gauge
}

func newPublishTelemetry() (t publishTelemetry, err error) {
	m := otel.Meter(scopeName)
	if t.heads, err = m.Int64Counter("art32.audit.heads.published",
		metric.WithDescription("Heads of logs that were handed to places outside."), metric.WithUnit("{head}")); err != nil {
		return t, fmt.Errorf("audit: new publisher: telemetry: %w", err)
	}
	if t.differing, err = m.Int64Gauge("art32.audit.disagreements",
		metric.WithDescription("Logs that did not grow from what a place holds."), metric.WithUnit("{log}")); err != nil {
		return t, fmt.Errorf("audit: new publisher: telemetry: %w", err)
	}
	return t, nil
}

func placeSet(name string) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attribute.String("place", name)))
}

func (t *publishTelemetry) published(ctx context.Context, place string) {
	t.heads.Add(ctx, 1, placeSet(place))
}

func (t *publishTelemetry) disagree(ctx context.Context, places []Place, found []Disagreement) {
	n := make(map[string]int64, len(places))
	for _, d := range found {
		n[d.Place]++
	}
	for _, p := range places {
		t.differing.Record(ctx, n[p.Name()], placeSet(p.Name()))
	}
}
