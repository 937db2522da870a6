package session

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// telemetry counts requests by what became of their cookie (OpenTelemetry). It
// carries no tenant, no user and no id; there are no spans on this path.
type telemetry struct {
	requests metric.Int64Counter
	results  [verdicts][]metric.AddOption // made once: every request counts
}

func newTelemetry() (telemetry, error) {
	requests, err := otel.Meter("github.com/art32/art32/session").Int64Counter("art32.session.requests",
		metric.WithDescription("Requests by what their session cookie was worth."), metric.WithUnit("{request}"))
	if err != nil {
		return telemetry{}, fmt.Errorf("session: new: telemetry: %w", err)
	}
	t := telemetry{requests: requests}
	for v := range verdicts {
		set := attribute.NewSet(attribute.String("result", v.word()))
		t.results[v] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	return t, nil
}

func (t *telemetry) count(ctx context.Context, v verdict) { t.requests.Add(ctx, 1, t.results[v]...) }
