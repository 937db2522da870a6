package tenancy_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// TestReindex: index values that are wrong are computed anew, and nothing else is
// touched.
func TestReindex(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar")
		must(t, devices.Insert(w.ctx, w.db, &device{Pin: field.New("12 34")}))
		before := w.cell(t, "members", "name_bidx", all[0].ID)
		w.raw(t, "UPDATE members SET name_bidx = '\\x00' WHERE id = '"+all[0].ID.String()+"'")
		w.raw(t, "UPDATE members SET name_bidx = NULL WHERE id = '"+all[1].ID.String()+"'")
		w.raw(t, "UPDATE members SET email = NULL WHERE id = '"+all[2].ID.String()+"'")
		name := w.cell(t, "members", "name", all[0].ID)

		r, err := w.db.Reseal(w.ctx, nil)
		must(t, err)
		if r.Reindexed+r.Resealed != 0 || !r.Complete() || r.Indexed {
			t.Errorf("not asked: %+v", r)
		}
		r, err = w.db.Reseal(w.ctx, &tenancy.ResealOptions{Indexes: true, DryRun: true})
		must(t, err)
		x := columnOf(t, r, "members", "name").Index
		if x.Wrong != 2 || x.Current != 1 || r.Left() != 3 || r.Complete() || r.Percent() >= 100 || r.Reindexed != 0 {
			t.Errorf("dry run: %+v, %+v", x, r)
		}
		r, err = w.db.Reseal(w.ctx, &tenancy.ResealOptions{Indexes: true})
		must(t, err)
		if r.Reindexed != 3 || r.Resealed != 0 || !r.Complete() || r.Percent() != 100 {
			t.Errorf("%+v", r)
		}
		if !bytes.Equal(before, w.cell(t, "members", "name_bidx", all[0].ID)) || !bytes.Equal(name, w.cell(t, "members", "name", all[0].ID)) {
			t.Error("not as before")
		}
		if got := w.cell(t, "members", "email_bidx", all[2].ID); got != nil {
			t.Error("an index value beside NULL")
		}
		for _, m := range all[:2] {
			name, _ := m.Name.Reveal()
			if n, err := w.found(w.ctx, name); n != 1 || err != nil {
				t.Errorf("%s: found %d, %v", name, n, err)
			}
		}
	})
}

// TestReseal: after a rotation everything lies under the new versions, is read
// and found, and the old ones are destroyed.
func TestReseal(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar", "Dora")
		must(t, devices.Insert(w.ctx, w.db, &device{Pin: field.New("12 34")}))
		must(t, w.db.Erase(w.ctx, all[3].ID))
		gone := w.cell(t, "members", "name", all[3].ID)
		w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys, keyring.DataKey)

		r, err := w.db.KeyReport(w.ctx)
		must(t, err)
		c := columnOf(t, r, "members", "name")
		if c.Older[1] != 3 || c.Current != 0 || c.Erased != 1 || r.IndexVersions != 2 || r.Complete() || r.Percent() != 0 ||
			r.Retired != (tenancy.RetiredKeys{Subjects: 3, Index: 1, Data: 1}) {
			t.Errorf("report: %+v", r)
		}
		r = w.reseal(t)
		if r.Resealed != 3*4+1 || r.Reindexed != 3*2+1 || !r.Indexed || r.Percent() != 100 {
			t.Errorf("run: %+v", r)
		}
		if !bytes.Equal(gone, w.cell(t, "members", "name", all[3].ID)) || w.cell(t, "members", "name_bidx", all[3].ID) != nil {
			t.Error("what belongs to an erased person was touched")
		}
		w.Verify(t)
		w.forget(t) // which no log verifies after
		r = w.settled(t)
		if r.Destroyed != 4 {
			t.Errorf("destroyed: %+v", r)
		}
		if r, err = w.db.KeyReport(w.ctx); err != nil || r.Retired != (tenancy.RetiredKeys{Data: 1}) || r.IndexVersions != 1 || !r.Complete() {
			t.Errorf("%+v, %v", r, err)
		}
		other := instanceOf(t, w.World, club, w.Store)
		for _, i := range []*instance{w.instance, other} {
			for _, m := range all[:3] {
				name, _ := m.Name.Reveal()
				if n, err := i.found(w.ctx, name); n != 1 || err != nil {
					t.Errorf("%s: found %d, %v", name, n, err)
				}
				must(t, i.readable(w.ctx, m))
			}
			if n, err := devices.Count(w.ctx, i.db, devicePin.Eq("1234")); n != 1 || err != nil {
				t.Errorf("device: %d, %v", n, err)
			}
		}
	})
}

// TestResealEvents: a run leaves two events with its figures, and none without
// somebody who acts.
func TestResealEvents(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		w.join(t, "Anton")
		ctx := tenancy.WithReason(w.ctx, "yearly")
		_, err := w.db.Reseal(ctx, &tenancy.ResealOptions{DryRun: true})
		must(t, err)
		_, err = w.db.Reseal(ctx, nil)
		must(t, err)
		var got []string
		for e, err := range w.log.Events(w.ctx, w.db, audit.Filter{}) {
			must(t, err)
			if e.Action == "keys.reseal" {
				got = append(got, e.Reason+" "+e.Detail)
			}
		}
		if diff := cmp.Diff([]string{"yearly begun", "yearly ended"}, got); diff != "" {
			t.Error(diff)
		}
		if _, err := w.db.Reseal(tenancy.WithTenant(t.Context(), w.A), nil); !errors.Is(err, tenancy.ErrNoActor) {
			t.Errorf("nobody: %v", err)
		}
		if _, err := w.db.Reseal(tenancy.WithActor(t.Context(), w.Actor), nil); !errors.Is(err, tenancy.ErrNoTenant) {
			t.Errorf("no tenant: %v", err)
		}
		if _, err := w.db.Reseal(w.In(t, tenancy.NewID()), nil); !errors.Is(err, tenancy.ErrUnknownTenant) {
			t.Errorf("unknown tenant: %v", err)
		}
		err = w.db.In(w.ctx, func(ctx context.Context, _ *tenancy.Tx) error { _, err := w.db.Reseal(ctx, nil); return err })
		if !errors.Is(err, tenancy.ErrTxInUse) {
			t.Errorf("inside a transaction: %v", err)
		}
	})
}
