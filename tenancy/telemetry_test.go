package tenancy_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// TestTelemetry: spans and metrics tell what was done, and nothing about whom.
// It sets the process-wide providers, so that it does not run in parallel.
func TestTelemetry(t *testing.T) {
	spans, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans)))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	t.Run("sqlite", func(t *testing.T) {
		const canary = "Kanarienvogel"
		db, _, ctx := instances(t, "sqlite")
		p := person{Name: field.New(canary), City: canary}
		err := db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return persons.Insert(ctx, tx, &p) })
		if err != nil {
			t.Fatal(err)
		}
		other := person{Tenant: tenancy.NewID(), City: canary}
		if err := persons.Insert(ctx, db, &other); err == nil {
			t.Fatal("another tenant's row was not refused")
		}
		var data metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &data); err != nil {
			t.Fatal(err)
		}
		told := fmt.Sprintf("%+v %+v", data.ScopeMetrics, spans.GetSpans().Snapshots())
		for _, want := range []string{"art32.tenancy.transactions", "art32.tenancy.refusals", "persons.insert"} {
			if !strings.Contains(told, want) {
				t.Errorf("telemetry lacks %q", want)
			}
		}
		if len(spans.GetSpans()) == 0 || spans.GetSpans()[0].Name != "tenancy.In" {
			t.Error("there is no span of the transaction")
		}
		tenant, _ := tenancy.TenantFrom(ctx)
		for _, secret := range []string{canary, tenant.String(), p.ID.String(), "service:test"} {
			if strings.Contains(told, secret) {
				t.Errorf("telemetry tells %q", secret)
			}
		}
	})
}
