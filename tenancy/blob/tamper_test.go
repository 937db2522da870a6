package blob_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// tampered is a world with two contents of one length, and one of tenant B.
type tampered struct {
	*world

	want                    []byte
	a, b, other             attachment
	object, beside, foreign []byte // as they lie in the place
}

func newTampered(t *testing.T, w *world) *tampered {
	t.Helper()
	x := &tampered{world: w, want: random(2*field.ChunkSize + 5)}
	x.a, x.b, x.other = w.put(t, w.A, x.want), w.put(t, w.A, random(len(x.want))), w.put(t, w.B, random(len(x.want)))
	x.object, x.beside, x.foreign = x.bytes(t, w.A, &x.a), x.bytes(t, w.A, &x.b), x.bytes(t, w.B, &x.other)
	return x
}

// path is where the object of a row lies.
func (w *world) path(t *testing.T, tenant tenancy.ID, a *attachment) string {
	t.Helper()
	ref, err := a.Content.Reveal()
	must(t, err)
	parts, err := ref.Parts()
	must(t, err)
	return filepath.Join(w.dir, "tenants", tenant.String(), "blobs.attachments", parts.Object)
}

func (w *world) bytes(t *testing.T, tenant tenancy.ID, a *attachment) []byte {
	t.Helper()
	b, err := os.ReadFile(w.path(t, tenant, a))
	must(t, err)
	return b
}

// refused reads a content whose object was replaced. early says that nothing of it may
// be given.
func (x *tampered) refused(t *testing.T, name string, object []byte, early bool) {
	t.Helper()
	must(t, os.WriteFile(x.path(t, x.A, &x.a), object, 0o600))
	r, err := x.store.Open(x.In(t, x.A), &x.a)
	if early || err != nil {
		if !errors.Is(err, field.ErrOpen) {
			t.Errorf("%s: opened, %v", name, err)
		}
		return
	}
	got, err := io.ReadAll(r)
	must(t, r.Close())
	if !errors.Is(err, field.ErrOpen) || !bytes.HasPrefix(x.want, got) {
		t.Errorf("%s: %d bytes, %v", name, len(got), err)
	}
}

// Whoever may write the place can destroy a content, and not replace it.
func TestTampered(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	each(t, func(t *testing.T, w *world) {
		x := newTampered(t, w)
		n := len(x.object)
		for _, cut := range []int{0, 1, 68, 69, 100, n - field.ChunkSize, n - 34, n - 1} {
			x.refused(t, "cut", x.object[:cut], true)
		}
		x.refused(t, "extended", append(bytes.Clone(x.object), 0), true)
		x.refused(t, "twice", append(bytes.Clone(x.object), x.object...), true)
		for _, at := range []int{0, 4, 5, 40, 68, 69, 80, 1000, field.ChunkSize + 200, n - 40, n - 1} {
			changed := bytes.Clone(x.object)
			changed[at] ^= 1
			x.refused(t, "changed", changed, at < 69 || at > n-40)
		}
		x.refused(t, "another content", x.beside, true)
		x.refused(t, "another tenant's", x.foreign, true)
		x.refused(t, "chunks exchanged", exchanged(x.object), false)
		x.refused(t, "head of another", append(bytes.Clone(x.beside[:69]), x.object[69:]...), true)
		x.refused(t, "tail of another", append(bytes.Clone(x.object[:n-50]), x.beside[n-50:]...), true)
		must(t, os.Remove(x.path(t, x.A, &x.a)))
		if _, err := x.store.Open(x.In(t, x.A), &x.a); !errors.Is(err, field.ErrOpen) {
			t.Errorf("missing: %v", err)
		}
		must(t, os.WriteFile(x.path(t, x.A, &x.a), x.object, 0o600))
		if got, err := x.read(x.In(t, x.A), x.a.ID); err != nil || !bytes.Equal(got, x.want) {
			t.Errorf("as it was: %v", err)
		}
	})
}

// Each content has a key of its own, so that the key of one opens no other.
func TestKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	each(t, func(t *testing.T, w *world) {
		seen := map[string]bool{string(make([]byte, field.KeySize)): true}
		for range 4 {
			a := w.put(t, w.A, []byte("the same"))
			ref, err := a.Content.Reveal()
			must(t, err)
			parts, err := ref.Parts()
			must(t, err)
			if len(parts.Key) != field.KeySize || seen[string(parts.Key)] {
				t.Error("a key of another content, or none")
			}
			seen[string(parts.Key)] = true
		}
	})
}

// exchanged has the first two chunks in each other's place.
func exchanged(object []byte) []byte {
	const head, chunk = 69, field.ChunkSize + 28
	out := bytes.Clone(object[:head])
	out = append(out, object[head+chunk:head+2*chunk]...)
	out = append(out, object[head:head+chunk]...)
	return append(out, object[head+2*chunk:]...)
}

// An older object does not come back: neither in the place of a newer one of the same
// row, nor by itself.
func TestPutBack(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		old := w.put(t, w.A, []byte("version 1"))
		kept, path := w.bytes(t, w.A, &old), w.path(t, w.A, &old)
		must(t, w.store.Delete(ctx, w.DB, old.ID))
		fresh := attachment{ID: old.ID, Customer: old.Customer}
		must(t, w.store.Put(ctx, w.DB, &fresh, bytes.NewReader([]byte("version 2"))))
		must(t, os.WriteFile(w.path(t, w.A, &fresh), kept, 0o600))
		if b, err := w.read(ctx, old.ID); !errors.Is(err, field.ErrOpen) {
			t.Errorf("the old one for the new: %q, %v", b, err)
		}
		must(t, w.store.Delete(ctx, w.DB, fresh.ID))
		must(t, os.WriteFile(path, kept, 0o600))
		if b, err := w.read(ctx, old.ID); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("deleted and put back: %q, %v", b, err)
		}
	})
}

// What others have put into the folder is neither swept nor in the way; a reference
// that cannot be read stops a sweep.
func TestSweepCarefully(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		a, b := w.put(t, w.A, []byte("x")), w.put(t, w.B, []byte("x"))
		w.store.SetGrace(0)
		folder := filepath.Dir(w.path(t, w.A, &a))
		lost := uuid.NewString()
		for _, name := range []string{"notes.txt", strings.ToUpper(uuid.NewString()), lost} {
			must(t, os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600))
		}
		row := attachment{Customer: uuid.New(), Content: field.New(bad)}
		must(t, attachments.Insert(ctx, w.DB, &row))
		if n, err := w.store.Sweep(ctx, w.DB); err == nil || n != 0 || len(w.files(t)) != 5 {
			t.Errorf("with a damaged reference: %d, %v, %d files", n, err, len(w.files(t)))
		}
		if _, err := w.read(ctx, row.ID); err == nil {
			t.Error("a damaged reference opens")
		}
		must(t, attachments.Delete(ctx, w.DB, row.ID))
		if n, err := w.store.Sweep(ctx, w.DB); err != nil || n != 1 || len(w.files(t)) != 4 {
			t.Errorf("%d, %v, %v", n, err, w.files(t))
		}
		if _, err := os.Stat(w.path(t, w.B, &b)); err != nil {
			t.Errorf("another tenant's: %v", err)
		}
		if _, err := w.read(ctx, a.ID); err != nil {
			t.Error(err)
		}
		if _, err := w.store.Sweep(t.Context(), w.DB); !errors.Is(err, tenancy.ErrNoTenant) {
			t.Errorf("without a tenant: %v", err)
		}
	})
}
