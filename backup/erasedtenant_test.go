package backup_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// TestErasedTenant: a tenant that was erased as a whole is in no later backup, an
// older one is restored without it, and the restored keystore has no keys of it.
func TestErasedTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	before := w.run(t)
	ctx := in(t.Context(), w.a)
	ledger := w.vault.Ledger()
	if told, err := ledger.Told(ctx, w.a, uuid.Nil); told || err != nil {
		t.Errorf("before: told %t, %v", told, err)
	}
	for range 2 {
		must(t, w.db.EraseTenant(ctx))
	}
	if told, err := ledger.Told(ctx, w.a, uuid.Nil); !told || err != nil || ledger.State().Entries != 1 {
		t.Errorf("told %t, %v; %d entries, want 1", told, err, ledger.State().Entries)
	}
	if told, err := ledger.Told(ctx, w.b, uuid.Nil); told || err != nil {
		t.Errorf("the other tenant: told %t, %v", told, err)
	}
	equalFolders(t, w.vaults)
	after := w.run(t) // the tombstones of its people are no erasures that the ledger lacks
	if len(after.Parts) != 2 || after.Ledger.Entries != 1 {
		t.Errorf("parts %v, ledger %+v", after.Parts, after.Ledger)
	}
	for _, run := range []string{before.Run, after.Run} {
		res, dir, err := w.restore(t, run, w.restoreOptions(t))
		must(t, err)
		if want := map[string]int{before.Run: 1}[run]; res.Tenants != 1 || res.Erased != want {
			t.Errorf("result %+v, want %d erasures repeated", res, want)
		}
		r := w.elsewhere(t, dir)
		if done, err := r.db.TenantErased(ctx); !done || err != nil {
			t.Errorf("restored: erased %t, %v", done, err)
		}
		_, err = r.keys.TenantCipher(ctx, w.a.UUID())
		wantErr(t, err, keyring.ErrErased)
		_, err = customers.Count(ctx, r.db)
		wantErr(t, err, tenancy.ErrErased)
		if len(r.everybody(t, w.b)) != 2 {
			t.Error("the other tenant is not whole")
		}
	}
}

// TestErasedTenantIsBack: files that are put back by hand bring a tenant back until
// the ledger is replayed.
func TestErasedTenantIsBack(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	must(t, w.db.Close())
	must(t, w.store.Close())
	saved := copyDir(t, w.data)
	must(t, w.tryOpen(t))
	must(t, w.db.EraseTenant(in(t.Context(), w.a)))
	w.close()
	must(t, os.RemoveAll(w.data))
	must(t, os.Rename(saved, w.data))
	r := *w
	r.open(t)
	if len(r.everybody(t, w.a)) != 5 {
		t.Fatal("the copy does not bring the tenant back")
	}
	for _, want := range []int{1, 0} {
		if n, err := backup.Missed(t.Context(), r.db, r.keys, r.store, w.vaults...); n != want || err != nil {
			t.Errorf("missed %d, %v; want %d", n, err, want)
		}
		if n, err := backup.Replay(asService(t.Context()), r.db, r.keys, r.store, w.vaults...); n != want || err != nil {
			t.Errorf("replayed %d, %v; want %d", n, err, want)
		}
	}
	_, err := customers.Count(in(t.Context(), w.a), r.db)
	wantErr(t, err, tenancy.ErrErased)
	if n := rows(t, filepath.Join(w.data, "tenants", w.a.String()+".db"), "SELECT id FROM customers WHERE city <> '' OR email_bidx IS NOT NULL"); len(n) != 0 {
		t.Errorf("rows with data: %v", n)
	}
}

// TestErasedTenantPastTheLedger: the next run finds out, and takes it over.
func TestErasedTenantPastTheLedger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(t)
	must(t, w.keys.ShredTenant(t.Context(), w.a.UUID()))
	m, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrLedger)
	if m == nil || m.Ledger.Entries != 1 {
		t.Errorf("%+v; want one entry for the whole tenant", m)
	}
}
