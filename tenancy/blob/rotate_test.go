package blob_test

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// silent is a log that keeps nothing, and so holds no version of a key.
type silent struct{}

func (silent) Change(context.Context, *tenancy.Tx, tenancy.Change) error { return nil }

// newSilent is a world whose keys can be rotated and destroyed at once.
func newSilent(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "root.key")
	must(t, keyring.CreateKeyFile(path))
	root, err := keyring.KeyFile(path)
	must(t, err)
	keystore, err := sqlite.OpenKeystore(t.Context(), filepath.Join(dir, "keys"))
	must(t, err)
	t.Cleanup(func() { must(t, keystore.Close()) })
	w := &tenancytest.World{Actor: tenancy.MustService("test")}
	w.Keys, err = keyring.New(root, keystore, &keyring.Options{TTL: time.Millisecond, Grace: time.Millisecond})
	must(t, err)
	w.DB, err = sqlite.Open(t.Context(), filepath.Join(dir, "data"), schema, w.Keys, silent{}, &sqlite.Options{Migrations: migrations})
	must(t, err)
	t.Cleanup(func() { must(t, w.DB.Close()) })
	made, err := w.DB.CreateTenant(w.In(t, tenancy.ID{}), tenancy.Tenant{Name: "A"})
	must(t, err)
	w.A = made.ID
	return join(t, w)
}

// A version of a key that a content needs is not destroyed, though no counter tells of
// objects; once the rows are sealed anew nothing needs it, and no object was touched.
func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newSilent(t)
	ctx := w.In(t, w.A)
	want := random(100_000)
	a := w.put(t, w.A, want)
	before := w.bytes(t, w.A, &a)
	time.Sleep(2 * time.Millisecond) // keys are due by their dates
	_, err := w.Keys.Rotate(ctx, w.A.UUID(), keyring.SubjectKeys, time.Now(), nil)
	must(t, err)
	time.Sleep(10 * time.Millisecond) // beyond the grace
	reads := func(when string) {
		t.Helper()
		if got, err := w.read(ctx, a.ID); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", when, len(got), err)
		}
	}
	r, err := w.DB.DestroyRetired(ctx)
	must(t, err)
	if r.Destroyed != 0 || r.Retired.Subjects != 1 || r.Left() != 2 { // name and content
		t.Errorf("%d destroyed, %d retired, %d left", r.Destroyed, r.Retired.Subjects, r.Left())
	}
	reads("rotated")
	r, err = w.DB.Reseal(ctx, nil)
	must(t, err)
	if r.Resealed != 2 {
		t.Errorf("%d cells sealed anew", r.Resealed)
	}
	r, err = w.DB.DestroyRetired(ctx)
	must(t, err)
	if r.Destroyed != 1 || !r.Complete() {
		t.Errorf("%d destroyed, complete: %v", r.Destroyed, r.Complete())
	}
	reads("old version destroyed")
	if !bytes.Equal(before, w.bytes(t, w.A, &a)) {
		t.Error("the object was written")
	}
}
