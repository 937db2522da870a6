package audittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// Case is one thing that must hold of a log, whatever the application's tables.
type Case struct {
	Name        string // of the subtest
	Explanation string // what must hold, in a sentence
	// Check makes a tenant of its own and returns what does not hold.
	Check func(tb testing.TB, w *tenancytest.World, verify Verifier) error
}

// Cases are what holds beside [Mutations], in the order in which an event lives.
func Cases() []Case {
	return []Case{
		{"no actor", "Nobody writes an event without saying who acts, and then nothing is written.", noActor},
		{"one transaction", "What rolls back leaves no event.", oneTransaction},
		{"sealers", "However many sealers run, each event gets one place.", sealers},
		{"young", "What waits for the sealer is told apart from what was sealed, and must be young.", young},
		{"forged", "A row that no writer has vouched for is never sealed.", forged},
		{"deleted before the seal", "A payload whose event was deleted before the seal is found.", deletedBefore},
		{"rolled back", "An old state of the log that was put back shows against a head held outside.", rolledBack},
		{"forked", "A log that went on from an old state shows against a head held outside.", forked},
		{"renewed", "A key that was held outside leads to the newest.", renewed},
	}
}

// Run checks all cases and all mutations in subtests, which carry the attribute
// art32.measure. It fits [tenancytest.Each]. The world must be one that nobody else
// writes to meanwhile.
func Run(t *testing.T, w *tenancytest.World) {
	t.Helper()
	run(t, w, audit.Verify)
}

func run(t *testing.T, w *tenancytest.World, verify Verifier) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Attr("art32.measure", "TOM-5.1")
			if err := c.Check(t, w, verify); err != nil {
				t.Errorf("%s\n%v", c.Explanation, err)
			}
		})
	}
	tenant := Log(t, w)
	for _, m := range Mutations() {
		if m.Engine != "" && m.Engine != w.Engine {
			continue
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Attr("art32.measure", "TOM-5.1")
			if err := m.Check(t, w, tenant, verify); err != nil {
				t.Error(err)
			}
		})
	}
}

// Log makes a tenant whose log has [Entries] sealed entries, each with a payload, in
// two batches.
func Log(tb testing.TB, w *tenancytest.World) tenancy.ID {
	tb.Helper()
	tenant := newTenant(tb, w)
	write(tb, w, tenant, Entries-10)
	w.Seal(tb)
	write(tb, w, tenant, 10)
	w.Seal(tb)
	return tenant
}

func newTenant(tb testing.TB, w *tenancytest.World) tenancy.ID {
	tb.Helper()
	made, err := w.DB.CreateTenant(w.In(tb, tenancy.ID{}), tenancy.Tenant{Name: "Trial"})
	must(tb, err)
	return made.ID
}

// write adds n events with a payload to a tenant's log.
func write(tb testing.TB, w *tenancytest.World, tenant tenancy.ID, n int) {
	tb.Helper()
	ctx := tenancy.WithSession(tenancy.WithReason(w.In(tb, tenant), "trial"), "trial")
	must(tb, w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		for i := range n {
			err := w.Log.Change(ctx, tx, tenancy.Change{
				Action: "visits.update", Table: "visits", Object: uuid.New(), Outcome: tenancy.Done,
				Fields: []tenancy.FieldChange{{Column: "n", Class: tenancy.Open, Old: i, New: i + 1}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("audittest: %v", err)
	}
}

// verdict verifies, and demands findings of exactly these kinds.
func verdict(tb testing.TB, w *tenancytest.World, tenant tenancy.ID, verify Verifier, o *audit.VerifyOptions, want ...audit.Kind) (*audit.Report, error) {
	tb.Helper()
	r, err := verify(tb.Context(), w.DB, tenant, o)
	if err != nil {
		return r, err
	}
	var got []audit.Kind
	for _, f := range r.Findings {
		got = append(got, f.Kind)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return r, fmt.Errorf("findings %v, want %v", got, want)
	}
	return r, nil
}

func noActor(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	ctx := tenancy.WithTenant(tb.Context(), tenant)
	err := w.DB.In(ctx, func(ctx context.Context, _ *tenancy.Tx) error { return w.Log.Record(ctx, "visits.count") })
	if !errors.Is(err, tenancy.ErrNoActor) {
		return errors.Join(errors.New("not refused with tenancy.ErrNoActor"), err)
	}
	r, err := verdict(tb, w, tenant, verify, nil)
	if err == nil && r.Pending != 0 {
		err = fmt.Errorf("%d events were written", r.Pending)
	}
	return err
}

func oneTransaction(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	undone := errors.New("undone")
	err := w.DB.In(w.In(tb, tenant), func(ctx context.Context, _ *tenancy.Tx) error {
		return errors.Join(w.Log.Record(ctx, "visits.count"), undone)
	})
	if !errors.Is(err, undone) {
		return err
	}
	r, err := verdict(tb, w, tenant, verify, nil)
	if err == nil && r.Pending != 0 {
		err = fmt.Errorf("%d events of what rolled back", r.Pending)
	}
	return err
}

func sealers(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	const events, workers = 60, 3
	write(tb, w, tenant, events)
	failed := make(chan error, workers)
	for range workers {
		s, err := audit.NewSealer(w.Log, w.DB, &audit.SealerOptions{Batch: 7})
		if err != nil {
			return err
		}
		go func() {
			_, err := s.SealDue(tb.Context())
			failed <- err
		}()
	}
	var all []error
	for range workers {
		all = append(all, <-failed)
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	w.Seal(tb)
	r, err := verdict(tb, w, tenant, verify, &audit.VerifyOptions{Log: w.Log})
	if err == nil && (r.Size != events || r.Pending != 0) {
		err = fmt.Errorf("%d entries of %d events, %d wait", r.Size, events, r.Pending)
	}
	return err
}

func young(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	write(tb, w, tenant, 3)
	w.Seal(tb)
	write(tb, w, tenant, 2)
	r, err := verdict(tb, w, tenant, verify, nil)
	if err == nil && (r.OK() || r.Overdue != 2) {
		err = fmt.Errorf("nothing may wait, but %d of 2 are overdue", r.Overdue)
	}
	if err != nil {
		return err
	}
	r, err = verdict(tb, w, tenant, verify, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.Log})
	if err == nil && !r.OK() {
		err = fmt.Errorf("an hour is allowed, but %d are overdue", r.Overdue)
	}
	return err
}

func forged(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	write(tb, w, tenant, 3)
	stored{w, tenant}.exec(tb, "UPDATE art32.events SET actor = 'person:x' WHERE tenant_id = TENANT AND id = (SELECT id FROM art32.events WHERE tenant_id = TENANT ORDER BY seq LIMIT 1)")
	if _, err := verdict(tb, w, tenant, verify, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.Log}, audit.KindInserted); err != nil {
		return fmt.Errorf("before the seal: %w", err)
	}
	w.Seal(tb)
	r, err := verdict(tb, w, tenant, verify, nil, audit.KindInserted)
	if err == nil && r.Size != 2 {
		err = fmt.Errorf("%d entries of 2 good ones", r.Size)
	}
	return err
}

func deletedBefore(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	tenant := newTenant(tb, w)
	write(tb, w, tenant, 3)
	stored{w, tenant}.exec(tb, "DELETE FROM art32.events WHERE tenant_id = TENANT AND id = (SELECT id FROM art32.events WHERE tenant_id = TENANT ORDER BY seq LIMIT 1)")
	w.Seal(tb)
	_, err := verdict(tb, w, tenant, verify, nil, audit.KindInserted)
	return err
}

// head is the newest checkpoint of a tenant's log, as it would be held outside.
func (l stored) head(tb testing.TB) []byte {
	tb.Helper()
	db := l.w.Raw(tb, l.tenant)
	defer db.Close()
	var note string
	must(tb, db.QueryRowContext(tb.Context(), dialect(l.w.Engine,
		"SELECT note FROM art32.checkpoints WHERE tenant_id = TENANT ORDER BY created_at DESC, size DESC LIMIT 1", l.tenant)).Scan(&note))
	return []byte(note)
}

func rolledBack(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	l := stored{w, newTenant(tb, w)}
	write(tb, w, l.tenant, 5)
	w.Seal(tb)
	back := l.snapshot(tb)
	write(tb, w, l.tenant, 5)
	w.Seal(tb)
	held := l.head(tb)
	back()
	if _, err := verdict(tb, w, l.tenant, verify, nil); err != nil {
		return fmt.Errorf("the old state by itself: %w", err)
	}
	_, err := verdict(tb, w, l.tenant, verify, &audit.VerifyOptions{Checkpoints: [][]byte{held}}, audit.KindTailCut)
	return err
}

func forked(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	l := stored{w, newTenant(tb, w)}
	write(tb, w, l.tenant, 5)
	w.Seal(tb)
	back := l.snapshot(tb)
	write(tb, w, l.tenant, 5)
	w.Seal(tb)
	held := l.head(tb)
	back()
	write(tb, w, l.tenant, 6)
	w.Seal(tb)
	_, err := verdict(tb, w, l.tenant, verify, &audit.VerifyOptions{Checkpoints: [][]byte{held}}, audit.KindCheckpoint)
	return err
}

func renewed(tb testing.TB, w *tenancytest.World, verify Verifier) error {
	l := stored{w, newTenant(tb, w)}
	write(tb, w, l.tenant, 5)
	w.Seal(tb)
	held := l.head(tb)
	old, err := verdict(tb, w, l.tenant, verify, nil)
	if err != nil {
		return err
	}
	ctx := tenancy.WithReason(w.In(tb, tenancy.ID{}), "trial")
	if err := w.Sealer.Renew(ctx, l.tenant, audit.Renewal{Cause: audit.CauseRotation}); err != nil {
		return err
	}
	write(tb, w, l.tenant, 2)
	w.Seal(tb)
	r, err := verdict(tb, w, l.tenant, verify, &audit.VerifyOptions{Key: old.Key, Checkpoints: [][]byte{held, l.head(tb)}})
	if err == nil && (r.Key == old.Key || len(r.Earlier) != 1 || bytes.Equal(held, l.head(tb))) {
		err = errors.New("the log goes on under the old key")
	}
	return err
}
