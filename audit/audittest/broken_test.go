package audittest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestKit: the log passes its own kit, on both engines.
func TestKit(t *testing.T) {
	t.Parallel()
	onBoth(t, audittest.Run)
}

// blind is a verification that does not see some kinds of findings.
func blind(kinds ...audit.Kind) audittest.Verifier {
	return func(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, o *audit.VerifyOptions) (*audit.Report, error) {
		r, err := audit.Verify(ctx, db, tenant, o)
		if err == nil {
			r.Findings = slices.DeleteFunc(r.Findings, func(f audit.Finding) bool { return slices.Contains(kinds, f.Kind) })
		}
		return r, err
	}
}

// counting is a verification that changes what a good one reports.
func counting(change func(*audit.Report)) audittest.Verifier {
	return func(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, o *audit.VerifyOptions) (*audit.Report, error) {
		r, err := audit.Verify(ctx, db, tenant, o)
		if err == nil {
			change(r)
		}
		return r, err
	}
}

// brokenCases are verifications that are wrong, with the cases that must find out.
var brokenCases = []struct {
	name   string
	verify audittest.Verifier
	caught []string
}{
	{"takes what waits for nothing", counting(func(r *audit.Report) { r.Pending, r.Overdue = 0, 0 }), []string{"young"}},
	{"counts what was never written", counting(func(r *audit.Report) { r.Pending++ }), []string{"no actor", "one transaction"}},
	{"loses an entry", counting(func(r *audit.Report) { r.Size-- }), []string{"sealers", "forged"}},
	{"ignores what was inserted", blind(audit.KindInserted), []string{"forged", "deleted before the seal"}},
	{"ignores a cut", blind(audit.KindTailCut), []string{"rolled back"}},
	{"ignores heads held outside", func(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, o *audit.VerifyOptions) (*audit.Report, error) {
		if o != nil {
			o.Checkpoints = nil
		}
		return audit.Verify(ctx, db, tenant, o)
	}, []string{"rolled back", "forked"}},
	{"stays with the old log", counting(func(r *audit.Report) { r.Earlier = nil }), []string{"renewed"}},
}

// TestBroken: each case finds a verification that is wrong, and each mutation one
// that does not look.
func TestBroken(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *tenancytest.World) {
		finders := map[string]bool{}
		for _, b := range brokenCases {
			for _, c := range audittest.Cases() {
				if !slices.Contains(b.caught, c.Name) {
					continue
				}
				finders[c.Name] = true
				if err := c.Check(t, w, b.verify); err == nil {
					t.Errorf("%s: case %q passes", b.name, c.Name)
				}
			}
		}
		for _, c := range audittest.Cases() {
			if !finders[c.Name] {
				t.Errorf("no broken verification for case %q", c.Name)
			}
		}
		tenant := audittest.Log(t, w)
		for _, m := range audittest.Mutations() {
			if m.Engine != "" && m.Engine != w.Engine {
				continue
			}
			for name, verify := range map[string]audittest.Verifier{
				"misses its kind": blind(m.Kind),
				"names another entry": counting(func(r *audit.Report) {
					r.Findings = slices.Clone(r.Findings)
					for i := range r.Findings {
						r.Findings[i].Index += 7
					}
				}),
			} {
				if err := m.Check(t, w, tenant, verify); err == nil {
					t.Errorf("mutation %q passes a verification that %s", m.Name, name)
				}
			}
		}
	})
}
