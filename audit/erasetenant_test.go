package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// TestErasedTenantsLog: more payloads than one entry can name are emptied, what was
// pending too, and the log verifies and can be exported though the tenant is closed.
func TestErasedTenantsLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-7.2")
		const events = 4100
		ctx := w.in(t.Context(), w.a)
		must(t, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
			for range events {
				if err := w.log.Record(ctx, "export.read", slog.String("file", "x")); err != nil {
					return err
				}
			}
			return nil
		}))
		w.seal(t)
		cp := w.checkpoint(t)
		w.customers(t, 1) // pending
		must(t, w.db.EraseTenant(ctx))
		must(t, w.db.EraseTenant(ctx))
		if n := w.payloads(t); n != 0 {
			t.Errorf("%d payloads are left", n)
		}
		w.seal(t)
		r := w.wantOK(t, &audit.VerifyOptions{Log: w.log, Checkpoints: [][]byte{cp}})
		if r.Erased != events+1 {
			t.Errorf("%d parts erased, want %d", r.Erased, events+1)
		}
		must(t, audit.Export(t.Context(), w.db, w.a, t.TempDir()+"/export"))
		for _, err := range w.log.Events(ctx, w.db, audit.Filter{}) {
			if !errors.Is(err, tenancy.ErrUnknownTenant) {
				t.Errorf("Events: %v, want ErrUnknownTenant", err)
			}
		}
	})
}

// payloads counts those of the tenant's events, entries of erasure apart.
func (w *world) payloads(t *testing.T) (n int) {
	t.Helper()
	eng := w.db.Engine(engine.Library)
	tx, err := eng.Begin(t.Context(), engine.Scope{Tenant: w.a.UUID(), Closed: true})
	must(t, err)
	events, parts := engine.Table(eng.Dialect(), "events"), engine.Table(eng.Dialect(), "event_parts")
	_, err = tx.Run(t.Context(), engine.Stmt{
		SQL: "SELECT e.action FROM " + events + " e JOIN " + parts + " p ON p.tenant_id = e.tenant_id AND p.event_id = e.id" +
			" WHERE e.tenant_id = $1 AND p.ciphertext IS NOT NULL AND e.action <> 'audit.erase'",
		Args: []any{w.a.UUID()},
	}, engine.Commit, func(engine.Row) error {
		n++
		return nil
	})
	must(t, err)
	return n
}
