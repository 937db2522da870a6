package tenancy

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scopeName is the instrumentation scope of this package.
const scopeName = "github.com/art32/art32/tenancy"

// telemetry holds the package's instruments (OpenTelemetry). They carry words of
// the code only: no tenant, no actor, no id, no value of a row.
type telemetry struct {
	tracer   trace.Tracer
	ended    metric.Int64Counter
	refusals metric.Int64Counter
	// The options of the two outcomes, made once: every verb counts.
	committed, failed []metric.AddOption
}

func newTelemetry() (telemetry, error) {
	m := otel.Meter(scopeName)
	ended, err := m.Int64Counter("art32.tenancy.transactions",
		metric.WithDescription("Transactions that ended, by outcome."), metric.WithUnit("{transaction}"))
	if err != nil {
		return telemetry{}, fmt.Errorf("tenancy: open: telemetry: %w", err)
	}
	refusals, err := m.Int64Counter("art32.tenancy.refusals",
		metric.WithDescription("Actions that were refused, by action."), metric.WithUnit("{refusal}"))
	if err != nil {
		return telemetry{}, fmt.Errorf("tenancy: open: telemetry: %w", err)
	}
	outcome := func(word string) []metric.AddOption {
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", word)))}
	}
	return telemetry{
		tracer: otel.Tracer(scopeName), ended: ended, refusals: refusals,
		committed: outcome("committed"), failed: outcome("failed"),
	}, nil
}

// span measures one call of several statements.
func (t *telemetry) span(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, s := t.tracer.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			s.SetStatus(codes.Error, "failed") // an error's text stays out of traces
		}
		s.End()
	}
}

// count counts how a transaction ended, and what was refused in it.
func (t *telemetry) count(ctx context.Context, err error, refused []Change) {
	outcome := t.committed
	if err != nil {
		outcome = t.failed
	}
	t.ended.Add(ctx, 1, outcome...)
	for _, c := range refused {
		t.refusals.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("action", c.Action))))
	}
}
