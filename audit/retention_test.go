package audit_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// aged is a world whose tenant a has a log of n entries that has ended, and one of 4 that grows.
func (w *world) aged(tb testing.TB, n int) []*customer {
	tb.Helper()
	all := w.sealed(tb, n)
	w.renew(tb, w.a, rotation)
	w.sealed(tb, 2)
	return all
}

// later is when logs that end now are due.
func later() time.Time { return time.Now().Add(2 * 365 * 24 * time.Hour) }

func (w *world) retention(tb testing.TB, o *audit.RetentionOptions) *audit.Retention {
	tb.Helper()
	r, err := audit.NewRetention(w.sealer, o)
	must(tb, err)
	r.At(later())
	return r
}

// of is what a round has done for tenant a.
func (w *world) of(tb testing.TB, all []audit.TenantRetention) audit.TenantRetention {
	tb.Helper()
	for _, r := range all {
		if r.Tenant == w.a {
			return r
		}
	}
	tb.Fatal("no report for the tenant")
	return audit.TenantRetention{}
}

// A log that is over its time goes as a whole, the proofs of what is left stand,
// and the log says so.
func TestRetentionDropsLogs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 300)
		held, key := w.checkpoint(t), w.verify(t, nil).Earlier[0]
		before := w.size(t)
		got, err := w.retention(t, nil).RunDue(t.Context())
		must(t, err)
		r := w.of(t, got)
		if len(r.Dropped) != 1 || r.Dropped[0].Origin != key.Origin || r.Dropped[0].Events != 300 || r.Dropped[0].Parts != 300 ||
			r.Dropped[0].Size != 300 || r.Controller != "Tenant A" || !r.Next.IsZero() {
			t.Errorf("got %+v", r)
		}
		report := w.wantOK(t, &audit.VerifyOptions{Key: key.Key, Checkpoints: [][]byte{held}, Log: w.log})
		if len(report.Earlier) != 1 || !report.Earlier[0].Dropped || report.Earlier[0].Size != 300 || report.Size != 5 {
			t.Errorf("got %+v", report)
		}
		if n := w.rows(t, "events"); n != 5 {
			t.Errorf("%d events are left", n)
		}
		if n := w.rows(t, "tiles"); n != 1 {
			t.Errorf("%d tiles are left", n)
		}
		if n := w.rows(t, "checkpoints WHERE size = 300"); n != 1 {
			t.Errorf("%d checkpoints of the old log are left", n)
		}
		if after := w.size(t); after > before*2/3 {
			t.Errorf("%d bytes before, %d after", before, after)
		}
		e := w.entries(w.in(t.Context(), w.a), t, audit.Filter{Action: "audit.drop"})
		if len(e) != 1 || string(e[0].Attrs["controller"]) != `"Tenant A"` || string(e[0].Attrs["entries"]) != "300" || e[0].Actor != "service:audit/retention" {
			t.Errorf("got %#v", e)
		}
		again, err := w.retention(t, nil).RunDue(t.Context())
		must(t, err)
		if len(w.of(t, again).Dropped) != 0 {
			t.Errorf("dropped again: %+v", again)
		}
		_, err = w.log.Trace(w.in(t.Context(), w.a), w.db, tenancy.TraceQuery{})
		must(t, err)
		w.mutate(t, afterDrop)
	})
}

// afterDrop are changes of a tenant whose first log of 300 entries was dropped, and
// whose second has 5.
var afterDrop = []audittest.Mutation{
	{Name: "put an entry back", SQL: []string{copyRow("7", "UUID('00000000-8b86-4d11-b42d-00c04fc964ff')", "302")}, Kind: audit.KindInserted, Index: 7},
	{Name: "delete the entry of the drop", SQL: []string{`DELETE FROM art32.event_parts WHERE event_id = (SELECT id FROM art32.events WHERE action = 'audit.drop')`,
		`DELETE FROM art32.events WHERE action = 'audit.drop'`}, Kind: audit.KindTailCut, Index: 4},
	{Name: "edit the entry of the drop", SQL: []string{`UPDATE art32.events SET object = NULL WHERE action = 'audit.drop'`}, Kind: audit.KindEdited, Index: 4},
	{Name: "move the entry of the drop", SQL: []string{`UPDATE art32.events SET leaf = 305 WHERE action = 'audit.drop'`}, Kind: audit.KindInserted, Index: 5},
	{Name: "delete the last checkpoint", SQL: []string{`DELETE FROM art32.checkpoints WHERE size = 300`}, Kind: audit.KindCheckpoint, Index: 300},
	{Name: "put an entry back as if the drop went on", SQL: []string{
		copyRow("7", "UUID('00000000-8b86-4d11-b42d-00c04fc964ff')", "302"), `UPDATE art32.logs SET dropped_at = NULL WHERE tenant_id = TENANT`,
	}, Kind: audit.KindInserted, Index: 7},
	{Name: "edit the size", SQL: []string{`UPDATE art32.logs SET size = 299 WHERE tenant_id = TENANT AND shard = 0`}, Kind: audit.KindCheckpoint, Index: -1},
}

func copyRow(leaf, id, from string) string {
	return strings.NewReplacer("LEAF", leaf, "NEWID", id, "FROM_INDEX", from).Replace(
		`INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, leaf)
		SELECT NEWID, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, LEAF
		FROM art32.events WHERE leaf = FROM_INDEX AND tenant_id = TENANT`)
}

// rows counts those of tenant a.
func (w *world) rows(tb testing.TB, of string) (n int) {
	tb.Helper()
	db := w.rawDB(tb)
	defer db.Close()
	table, where, _ := strings.Cut(of, " WHERE ")
	if where == "" {
		where = "1 = 1"
	}
	schema := "art32."
	if w.engine == "sqlite" {
		schema = "art32_"
	}
	must(tb, db.QueryRowContext(context.WithoutCancel(tb.Context()),
		"SELECT count(*) FROM "+schema+table+" WHERE tenant_id = '"+w.a.String()+"' AND "+where).Scan(&n))
	return n
}

// size is how many bytes the tenant's file has, or in PostgreSQL the tables of the
// log once they are written anew.
func (w *world) size(tb testing.TB) (n int64) {
	tb.Helper()
	if w.engine == "sqlite" {
		files, err := filepath.Glob(filepath.Join(w.Dir, "tenants", w.a.String()+".db*"))
		must(tb, err)
		for _, f := range files {
			st, err := os.Stat(f)
			must(tb, err)
			n += st.Size()
		}
		if n == 0 {
			tb.Fatalf("no file of the tenant in %s", w.Dir)
		}
		return n
	}
	for _, table := range []string{"events", "event_parts", "tiles"} {
		w.raw(tb, `VACUUM FULL art32.`+table)
		db := w.rawDB(tb)
		var of int64
		must(tb, db.QueryRowContext(tb.Context(), "SELECT pg_total_relation_size('art32."+table+"')").Scan(&of))
		must(tb, db.Close())
		n += of
	}
	return n
}

// Nothing is dropped before its time, under a hold, or by a policy that keeps all;
// and a policy that keeps nothing is refused.
func TestRetentionKeeps(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 10)
		ctx := w.in(t.Context(), w.a)
		run := func(p audit.RetentionPolicy) (audit.TenantRetention, error) {
			all, err := w.retention(t, &audit.RetentionOptions{
				Policy: func(context.Context, tenancy.Tenant) (audit.RetentionPolicy, error) { return p, nil },
			}).RunDue(t.Context())
			return w.of(t, all), err
		}
		if _, err := run(audit.RetentionPolicy{Keep: time.Hour}); err == nil {
			t.Error("a policy that keeps for an hour passes")
		}
		ahead := w.retention(t, &audit.RetentionOptions{
			Policy: func(context.Context, tenancy.Tenant) (audit.RetentionPolicy, error) {
				return audit.RetentionPolicy{Keep: 3 * 365 * 24 * time.Hour}, nil
			},
		})
		ahead.Ahead(time.Now().Add(10 * 365 * 24 * time.Hour)) // beside the other clock
		if all, err := ahead.RunDue(t.Context()); err != nil || len(w.of(t, all).Dropped) != 0 {
			t.Errorf("a clock that is ahead: %+v, %v", all, err)
		}
		long := audit.RetentionPolicy{Keep: 3 * 365 * 24 * time.Hour, Controller: "Musterfirma"}
		r, err := run(long)
		must(t, err)
		if len(r.Dropped) != 0 || r.Controller != "Musterfirma" || time.Until(r.Next) < 3*364*24*time.Hour || time.Until(r.Next) > 3*366*24*time.Hour {
			t.Errorf("got %+v", r)
		}
		if r, err = run(audit.RetentionPolicy{Keep: -1}); err != nil || len(r.Dropped) != 0 {
			t.Errorf("got %+v, %v", r, err)
		}
		_, err = w.log.Hold(tenancy.WithReason(ctx, ""), w.db)
		wantErr(t, err, tenancy.ErrNoReason)
		first, err := w.log.Hold(ctx, w.db)
		must(t, err)
		second, err := w.log.Hold(ctx, w.db)
		must(t, err)
		for _, hold := range []uuid.UUID{first, second} {
			if r, err = run(audit.RetentionPolicy{}); err != nil || !r.Held || len(r.Dropped) != 0 {
				t.Errorf("held: got %+v, %v", r, err)
			}
			must(t, w.log.Release(ctx, w.db, hold))
		}
		wantErr(t, w.log.Release(ctx, w.db, first), tenancy.ErrNotFound)
		if r, err = run(audit.RetentionPolicy{}); err != nil || r.Held || len(r.Dropped) != 1 {
			t.Errorf("released: got %+v, %v", r, err)
		}
		if e := w.entries(ctx, t, audit.Filter{Action: "audit.hold"}); len(e) != 2 || e[0].Object != first || e[0].Reason == "" {
			t.Errorf("got %v", e)
		}
		w.wantOK(t, &audit.VerifyOptions{Log: w.log})
	})
}

// What a verification relies on is nobody's to write but the log's.
func TestReservedActions(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 3)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		ctx := w.in(t.Context(), w.a)
		for _, action := range []string{"audit.open", "audit.erase", "audit.begin", "audit.drop"} {
			wantErr(t, rec.Record(ctx, action), audit.ErrAction)
			wantErr(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				return w.log.Write(ctx, tx, audit.Event{Action: action})
			}), audit.ErrAction)
			wantErr(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				return w.log.Change(ctx, tx, tenancy.Change{Action: action, Outcome: tenancy.Done})
			}), audit.ErrAction)
		}
	})
}

// A hold can be set and ended when the tenant is closed, not inside a transaction; nor
// can a page of the log be read there.
func TestHoldOfClosedTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		w.sealed(t, 2)
		must(t, w.db.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error {
			_, err := w.log.Hold(ctx, w.db)
			wantErr(t, err, tenancy.ErrTxInUse)
			_, err = w.log.Query(ctx, w.db, audit.Query{})
			wantErr(t, err, tenancy.ErrTxInUse)
			return nil
		}))
		must(t, w.db.EraseTenant(ctx))
		w.seal(t)
		w.renew(t, w.a, rotation)
		r := w.retention(t, nil)
		_, err := r.RunDue(t.Context())
		must(t, err)
		report, err := audit.Verify(t.Context(), w.db, w.a, &audit.VerifyOptions{Log: w.log, MaxPending: time.Hour})
		must(t, err)
		if !report.OK() || len(report.Earlier) != 1 {
			t.Errorf("got %+v", report)
		}
	})
}

// A drop that is stopped anywhere leaves a log that verifies, and goes on.
func TestRetentionStopped(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 20)
		for _, step := range []string{"written", "announced", "page"} {
			r := w.retention(t, nil)
			func() {
				defer func() { _ = recover() }()
				r.OnStep(func(name string) {
					if name == step {
						panic(step)
					}
				})
				_, err := r.RunDue(t.Context())
				t.Errorf("did not stop at %s: %v", step, err)
			}()
			w.seal(t)
			w.wantOK(t, nil)
			if r := w.verify(t, nil); r.Earlier[0].Dropped != (step != "written") && step != "written" {
				t.Errorf("stopped at %s: %+v", step, r.Earlier)
			}
		}
		all, err := w.retention(t, nil).RunDue(t.Context())
		must(t, err)
		if r := w.of(t, all); len(r.Dropped) != 1 {
			t.Errorf("got %+v", r)
		}
		w.wantOK(t, &audit.VerifyOptions{Log: w.log})
		if e := w.entries(w.in(t.Context(), w.a), t, audit.Filter{Action: "audit.drop"}); len(e) != 1 {
			t.Errorf("%d entries of one drop", len(e))
		}
	})
}

// Who sets the end of a log back, or takes a hold away, has nothing dropped for it.
func TestRetentionBelievesWhatIsSealed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 5)
		_, err := w.log.Hold(w.in(t.Context(), w.a), w.db)
		must(t, err)
		w.raw(t, `DELETE FROM art32.log_holds WHERE tenant_id = TENANT`, `UPDATE art32.logs SET ended_at = 1 WHERE tenant_id = TENANT AND ended_at IS NOT NULL`)
		r := w.retention(t, nil)
		if all, err := r.RunDue(t.Context()); err != nil || !w.of(t, all).Held {
			t.Errorf("the hold is gone: %+v, %v", all, err)
		}
		must(t, customers.Insert(w.in(t.Context(), w.b), w.db, &customer{Email: field.New("b@b.de"), City: "B", Plan: "p"}))
		w.seal(t)
		w.renew(t, w.b, rotation)
		w.rawOn(t, w.b, `UPDATE art32.logs SET ended_at = 1 WHERE tenant_id = TENANT AND ended_at IS NOT NULL`)
		r.At(time.Now())
		all, err := r.RunDue(t.Context())
		must(t, err)
		for _, x := range all {
			if len(x.Dropped) != 0 || x.Tenant == w.b && time.Until(x.Next) < 364*24*time.Hour {
				t.Errorf("got %+v", x)
			}
		}
	})
}

// What was changed after it was sealed is not emptied: neither an event whose time was
// set back, nor the payload of another put beside an old event.
func TestRetentionEmptiesWhatWasSealed(t *testing.T) {
	short := audit.Class{Name: "short", Actions: []string{"visits."}, Retention: 48 * time.Hour}
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		for _, action := range []string{"other.word", "visits.count", "other.word"} {
			must(t, rec.Record(ctx, action, slog.String("name", "Grünwald")))
		}
		w.seal(t)
		w.raw(t, `UPDATE art32.events SET action = 'visits.count' WHERE leaf = 0 AND tenant_id = TENANT`,
			`UPDATE art32.event_parts SET ciphertext = (SELECT p.ciphertext FROM art32.event_parts p, art32.events e WHERE e.id = p.event_id AND e.leaf = 2 AND e.tenant_id = TENANT)
				WHERE event_id = (SELECT id FROM art32.events WHERE leaf = 1 AND tenant_id = TENANT)`)
		all, err := w.retention(t, nil).RunDue(t.Context())
		must(t, err)
		if r := w.of(t, all); r.Emptied != 0 {
			t.Errorf("got %+v", r)
		}
	}, short)
}

// Payloads go by their class and the tenant's policy, the entries stay, and proofs
// stand.
func TestRetentionOfClasses(t *testing.T) {
	short := audit.Class{Name: "short", Actions: []string{"visits."}, Retention: 48 * time.Hour}
	kept := audit.Class{Name: "kept", Actions: []string{"visits.kept"}}
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		for _, action := range []string{"visits.count", "visits.kept", "visits.count", "other.word"} {
			must(t, rec.Record(ctx, action, slog.String("name", "Grünwald")))
		}
		w.seal(t)
		must(t, rec.Record(ctx, "visits.count", slog.String("name", "Grünwald"))) // not sealed
		run := func(later time.Duration, p audit.RetentionPolicy) audit.TenantRetention {
			r := w.retention(t, &audit.RetentionOptions{
				Policy: func(context.Context, tenancy.Tenant) (audit.RetentionPolicy, error) { return p, nil },
			})
			r.At(time.Now().Add(later))
			all, err := r.RunDue(t.Context())
			must(t, err)
			return w.of(t, all)
		}
		if r := run(47*time.Hour, audit.RetentionPolicy{}); r.Emptied != 0 {
			t.Errorf("before its time: %+v", r)
		}
		if r := run(49*time.Hour, audit.RetentionPolicy{Classes: map[string]time.Duration{"short": -1}}); r.Emptied != 0 {
			t.Errorf("against the policy: %+v", r)
		}
		hold, err := w.log.Hold(ctx, w.db)
		must(t, err)
		if r := run(49*time.Hour, audit.RetentionPolicy{}); r.Emptied != 0 || !r.Held {
			t.Errorf("against a hold: %+v", r)
		}
		must(t, w.log.Release(ctx, w.db, hold))
		if r := run(49*time.Hour, audit.RetentionPolicy{Keep: -1}); r.Emptied != 3 { // holds are sealed at once, and all before them
			t.Errorf("got %+v", r)
		}
		if r := run(49*time.Hour, audit.RetentionPolicy{}); r.Emptied != 0 {
			t.Errorf("emptied again: %+v", r)
		}
		w.seal(t)
		w.wantOK(t, &audit.VerifyOptions{Log: w.log})
		var left []string
		for _, e := range w.entries(ctx, t, audit.Filter{}) {
			if _, ok := e.Attrs["name"]; ok {
				left = append(left, e.Action)
			}
			if e.Action == "visits.count" && !e.Erased {
				t.Errorf("not marked: %#v", e)
			}
		}
		if got := strings.Join(left, " "); got != "visits.kept other.word" {
			t.Errorf("left: %s", got)
		}
	}, short, kept)
}

// Logs go one after the other, also where the entry that tells of the first is
// dropped itself later.
func TestRetentionOverYears(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for range 4 {
			w.sealed(t, 3)
			w.renew(t, w.a, rotation)
			w.sealed(t, 1)
			_, err := w.retention(t, nil).RunDue(t.Context())
			must(t, err)
			w.wantOK(t, &audit.VerifyOptions{Log: w.log})
		}
		r := w.verify(t, nil)
		for i, e := range r.Earlier {
			if !e.Dropped {
				t.Errorf("log %d is left: %+v", i, e)
			}
		}
		if len(r.Earlier) != 4 || w.rows(t, "events") != int(r.Size) {
			t.Errorf("got %+v", r)
		}
	})
}
