package audittest_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestRecorderLikeTheReal: what a log refuses is refused here with the same
// error.
func TestRecorderLikeTheReal(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *tenancytest.World) {
		var r audittest.Recorder
		contexts := map[string]context.Context{
			"nobody": t.Context(), "platform": w.In(t, tenancy.ID{}), "tenant": w.In(t, w.A),
			"tenant, nobody": tenancy.WithTenant(t.Context(), w.A),
		}
		actions := []string{"", "session.open", "Session/Open:1", ".x", "a b", "ä", "a\n", strings.Repeat("a", 200), strings.Repeat("a", 201)}
		for name, ctx := range contexts {
			for _, action := range actions {
				have, want := r.Record(ctx, action), w.Recorder.Record(ctx, action)
				if (have == nil) != (want == nil) || errors.Is(want, tenancy.ErrNoActor) && !errors.Is(have, tenancy.ErrNoActor) {
					t.Errorf("%s, %.20q: %v, the real one: %v", name, action, have, want)
				}
			}
		}
	})
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	var r audittest.Recorder
	id := tenancy.NewID()
	ctx := tenancy.WithActor(tenancy.WithTenant(t.Context(), id), tenancy.MustService("test"))
	ctx = tenancy.WithReason(tenancy.WithSession(ctx, "s1"), "because")
	must(t, r.Record(ctx, "session.open", slog.Int("tries", 2)))
	full := errors.New("full")
	r.Fail(full)
	if err := r.Record(ctx, "session.close"); !errors.Is(err, full) {
		t.Errorf("%v, want the error that was set", err)
	}
	r.Fail(nil)
	must(t, r.Record(ctx, "session.end"))
	if got := r.Actions(); !slices.Equal(got, []string{"session.open", "session.end"}) {
		t.Errorf("actions %v", got)
	}
	x := r.Records()[0]
	if x.Tenant != id || x.Actor.String() != "service:test" || x.Session != "s1" || x.Reason != "because" ||
		x.Attr("tries").Int64() != 2 || !x.Attr("none").Equal(slog.Value{}) {
		t.Errorf("%+v", x)
	}
}
