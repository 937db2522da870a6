package tenancy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// attachments are a place outside the database that keeps ciphertexts of its own.
type attachments struct {
	of  map[uuid.UUID]uint32
	err error
}

func (a attachments) CountSealed(
	_ context.Context, tx *tenancy.Tx, _ []uuid.UUID, add func(uuid.UUID, uint32, int),
) error {
	if tx.Tenant().IsZero() {
		return errors.New("no tenant")
	}
	for subject, version := range a.of {
		add(subject, version, 1) // more than was asked for does no harm
	}
	return a.err
}

// TestDestroyNeedsAll: a version that the tables, the log or a place elsewhere
// still names is not destroyed, and the report says who names it.
func TestDestroyNeedsAll(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar")
		w.rotate(t, keyring.SubjectKeys)
		r := w.settled(t)
		if r.Destroyed != 0 || r.Retired.Subjects != 3 || r.Left() != 12 {
			t.Errorf("the tables need them: %+v", r)
		}
		w.reseal(t)
		r = w.settled(t)
		if r.Destroyed != 0 || len(r.Elsewhere) != 1 || r.Elsewhere[0].Place != "the log" || r.Elsewhere[0].Retired != 6 || !r.Complete() {
			t.Errorf("the log needs them: %+v", r)
		}
		must(t, w.db.Erase(w.ctx, all[0].ID))
		if r = w.settled(t); r.Destroyed != 0 || r.Retired.Subjects != 2 {
			t.Errorf("after an erasure: %+v", r)
		}
		w.forget(t)
		places := attachments{of: map[uuid.UUID]uint32{all[1].ID: 1, all[2].ID: 2}}
		places.err = errors.New("unreachable")
		if _, err := w.db.DestroyRetired(w.ctx, places); !errors.Is(err, places.err) {
			t.Errorf("a place that does not answer: %v", err)
		}
		places.err = nil
		r = w.settled(t, places)
		if r.Destroyed != 1 || r.Retired.Subjects != 1 || len(r.Elsewhere) != 2 || r.Elsewhere[1].Place != "tenancy_test.attachments" || r.Elsewhere[1].Retired != 1 {
			t.Errorf("elsewhere: %+v", r)
		}
		if r = w.settled(t); r.Destroyed != 1 || r.Retired.Subjects != 0 {
			t.Errorf("nobody: %+v", r)
		}
		if _, err := w.db.DestroyRetired(w.ctx, nil); err == nil {
			t.Error("nil was accepted")
		}
		for _, m := range all[1:] {
			must(t, w.readable(w.ctx, m))
		}
	})
}

// TestDestroyWaits: nothing is destroyed before its grace is over.
func TestDestroyWaits(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton")
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys, keyring.KEK)
		w.reseal(t)
		w.forget(t)
		r, err := w.DB.DestroyRetired(w.ctx) // whose grace is a day
		must(t, err)
		if r.Destroyed != 0 || r.Waiting != 3 || r.Retired != (tenancy.RetiredKeys{Subjects: 1, Index: 1, KEK: 1}) {
			t.Errorf("%+v", r)
		}
		if r = w.settled(t); r.Destroyed != 3 || r.Retired != (tenancy.RetiredKeys{}) {
			t.Errorf("%+v", r)
		}
		must(t, w.readable(w.ctx, all[0]))
	})
}

// TestDestroyEvents: what is destroyed is announced before and told after; where
// there is nothing to destroy nothing is told.
func TestDestroyEvents(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		w.join(t, "Anton")
		ctx := tenancy.WithReason(w.ctx, "yearly")
		_, err := w.db.DestroyRetired(ctx)
		must(t, err)
		w.rotate(t, keyring.IndexKeys)
		w.reseal(t)
		_, err = w.DB.DestroyRetired(ctx)
		must(t, err)
		var got []string
		for e, err := range w.log.Events(w.ctx, w.db, audit.Filter{}) {
			must(t, err)
			if e.Action == "keys.destroy" {
				got = append(got, e.Reason+" "+e.Detail+" "+figure(e, "waiting"))
			}
		}
		if diff := cmp.Diff([]string{"yearly begun ", "yearly ended 1"}, got); diff != "" {
			t.Error(diff)
		}
		if _, err := w.db.DestroyRetired(tenancy.WithTenant(t.Context(), w.A)); !errors.Is(err, tenancy.ErrNoActor) {
			t.Errorf("nobody: %v", err)
		}
		err = w.db.In(w.ctx, func(ctx context.Context, _ *tenancy.Tx) error { _, err := w.db.DestroyRetired(ctx); return err })
		if !errors.Is(err, tenancy.ErrTxInUse) {
			t.Errorf("inside a transaction: %v", err)
		}
	})
}

// figure is what an event says of a name.
func figure(e audit.Entry, name string) string {
	for _, f := range e.Fields {
		if f.Column == name {
			return string(f.New)
		}
	}
	return ""
}

// TestDestroyGivesWay: a writer that is under way is not aborted, and a caller
// who cannot wait longer gets an error and may try again.
func TestDestroyGivesWay(t *testing.T) {
	t.Parallel()
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", "TOM-7.2")
		w := newClub(t, "postgres")
		all := w.join(t, "Anton")
		w.rotate(t, keyring.SubjectKeys)
		w.reseal(t)
		w.forget(t)
		must(t, w.db.In(w.ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			err := notes.Insert(ctx, tx, &note{Member: all[0].ID, Text: field.New("slow")})
			short, cancel := context.WithTimeout(w.ctx, time.Second)
			defer cancel()
			if _, derr := w.db.DestroyRetired(short); !errors.Is(derr, context.DeadlineExceeded) {
				t.Errorf("while somebody writes: %v", derr)
			}
			return errors.Join(err, members.Edit(ctx, tx, all[0].ID, func(m *member) error { m.Plan = "pro"; return nil }))
		}))
		w.forget(t)
		if r := w.settled(t); r.Destroyed != 1 {
			t.Errorf("%+v", r)
		}
	})
}
