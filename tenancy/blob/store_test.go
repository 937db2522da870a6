package blob_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
)

func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		for _, n := range []int{0, 1, field.ChunkSize, 3*field.ChunkSize + 5} {
			want := random(n)
			a := w.put(t, w.A, want)
			got, err := w.read(ctx, a.ID)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes became %d: %v", n, len(got), err)
			}
			must(t, w.store.Delete(ctx, w.DB, a.ID))
			if _, err := w.read(ctx, a.ID); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("deleted: %v", err)
			}
			if err := w.store.Delete(ctx, w.DB, a.ID); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("deleted twice: %v", err)
			}
		}
		if left := w.files(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		w.Verify(t)
	})
}

// A content exists for its tenant alone, and the place shows neither name nor content
// nor person.
func TestApart(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	each(t, func(t *testing.T, w *world) {
		secret := []byte("the content of tenant A")
		a := w.put(t, w.A, secret)
		for name, ctx := range map[string]context.Context{"tenant B": w.In(t, w.B), "no tenant": t.Context()} {
			if b, err := w.read(ctx, a.ID); len(b) > 0 || !errors.Is(err, tenancy.ErrNotFound) && !errors.Is(err, tenancy.ErrNoTenant) {
				t.Errorf("%s reads %q, %v", name, b, err)
			}
			if err := w.store.Delete(ctx, w.DB, a.ID); !errors.Is(err, tenancy.ErrNotFound) && !errors.Is(err, tenancy.ErrNoTenant) {
				t.Errorf("%s deletes: %v", name, err)
			}
			row, err := attachments.Get(w.In(t, w.A), w.DB, a.ID)
			must(t, err)
			if _, err := w.store.Open(ctx, &row); !errors.Is(err, tenancy.ErrOtherTenant) && !errors.Is(err, tenancy.ErrNoTenant) {
				t.Errorf("%s opens a row of A: %v", name, err)
			}
		}
		for _, file := range w.files(t) {
			b, err := os.ReadFile(file)
			must(t, err)
			for _, s := range []string{string(secret), "Müller", a.Customer.String(), a.ID.String()} {
				if bytes.Contains(b, []byte(s)) || strings.Contains(file, s) {
					t.Errorf("%s shows %q", file, s)
				}
			}
			if !strings.Contains(file, "/tenants/"+w.A.String()+"/") {
				t.Errorf("%s is not below its tenant", file)
			}
		}
	})
}

// The key of the content reaches no log, neither that of the program nor that of the
// tenant.
func TestRefShowsNoKey(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	each(t, func(t *testing.T, w *world) {
		a := w.put(t, w.A, []byte("x"))
		must(t, attachments.Edit(w.In(t, w.A), w.DB, a.ID, func(a *attachment) error { a.Name = field.New("b"); return nil }))
		ref, err := a.Content.Reveal()
		must(t, err)
		parts, err := ref.Parts()
		must(t, err)
		secrets := []string{string(ref), string(ref)[40:], fmt.Sprintf("%x", parts.Key), string(parts.Key)}
		must(t, w.store.Delete(w.In(t, w.A), w.DB, a.ID))
		var log strings.Builder
		logger := slog.New(slog.NewJSONHandler(&log, nil))
		logger.Info("a", slog.Any("ref", ref), slog.Any("refs", []blob.Ref{ref}), slog.Any("row", a))
		slog.New(slog.NewTextHandler(&log, nil)).Info("a", slog.Any("ref", ref))
		fmt.Fprintf(&log, "%v %s %q %x %#v %d %v", ref, ref, ref, ref, ref, ref, a)
		events := 0
		for e, err := range w.Log.Events(w.In(t, w.A), w.DB, audit.Filter{}) {
			must(t, err)
			events++
			b, err := json.Marshal(e)
			must(t, err)
			log.Write(b)
		}
		if events < 3 || !strings.Contains(log.String(), parts.Object) {
			t.Errorf("%d events, object named: %v", events, strings.Contains(log.String(), parts.Object))
		}
		for _, s := range secrets {
			if strings.Contains(log.String(), s) {
				t.Errorf("the key is shown")
			}
		}
		if err := ref.UnmarshalJSON([]byte(`"x"`)); err == nil {
			t.Error("a reference came from JSON")
		}
	})
}

// Erasing the person erases the contents, in every copy of the bucket.
func TestErased(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		a, other := w.put(t, w.A, []byte("erase me")), w.put(t, w.A, []byte("keep me"))
		must(t, w.DB.Erase(ctx, a.Customer))
		if b, err := w.read(ctx, a.ID); !errors.Is(err, field.ErrErased) {
			t.Errorf("erased: %q, %v", b, err)
		}
		late := attachment{Customer: a.Customer}
		if err := w.store.Put(ctx, w.DB, &late, strings.NewReader("late")); !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("put for somebody erased: %v", err)
		}
		w.store.SetGrace(0)
		n, err := w.store.Sweep(ctx, w.DB)
		if err != nil || n != 2 || len(w.files(t)) != 1 {
			t.Errorf("swept %d, %v, left %v", n, err, w.files(t))
		}
		if b, err := w.read(ctx, other.ID); err != nil || string(b) != "keep me" {
			t.Errorf("another person's: %q, %v", b, err)
		}
		must(t, w.store.Delete(ctx, w.DB, a.ID))
		must(t, w.DB.EraseTenant(ctx))
		n, err = w.store.Sweep(ctx, w.DB)
		if err != nil || n != 1 || len(w.files(t)) != 0 {
			t.Errorf("an erased tenant's: swept %d, %v", n, err)
		}
	})
}

// A content without a data subject lies under the tenant's key.
func TestAboutNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		s, err := blob.New(logos, func(l *logo) *field.Encrypted[blob.Ref] { return &l.Content }, w.place, nil)
		must(t, err)
		l := logo{}
		must(t, s.Put(w.In(t, w.A), w.DB, &l, strings.NewReader("logo")))
		a := w.put(t, w.A, []byte("x"))
		w.store.SetGrace(0)
		if n, err := w.store.Sweep(w.In(t, w.A), w.DB); n != 0 || err != nil {
			t.Errorf("another table's was swept: %d, %v", n, err)
		}
		l, err = logos.Get(w.In(t, w.A), w.DB, l.ID)
		must(t, err)
		r, err := s.Open(w.In(t, w.A), &l)
		must(t, err)
		defer r.Close()
		if b, err := io.ReadAll(r); err != nil || string(b) != "logo" {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := w.read(w.In(t, w.A), a.ID); err != nil {
			t.Error(err)
		}
	})
}

// What is put in a transaction is there if that commits.
func TestInTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		stop := errors.New("stop")
		var a attachment
		put := func(end error) error {
			a = attachment{Customer: uuid.New()}
			return w.DB.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				return errors.Join(w.store.Put(ctx, tx, &a, strings.NewReader("x")), end)
			})
		}
		if err := put(stop); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		if _, err := w.read(ctx, a.ID); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("rolled back: %v", err)
		}
		must(t, put(nil))
		if b, err := w.read(ctx, a.ID); err != nil || string(b) != "x" {
			t.Errorf("committed: %q, %v", b, err)
		}
		if n, err := w.store.Sweep(ctx, w.DB); n != 0 || err != nil {
			t.Errorf("young ones were swept: %d, %v", n, err)
		}
		w.store.SetGrace(0)
		if n, err := w.store.Sweep(ctx, w.DB); n != 1 || err != nil || len(w.files(t)) != 1 {
			t.Errorf("swept %d, %v, %v", n, err, w.files(t))
		}
		if _, err := w.read(ctx, a.ID); err != nil {
			t.Error(err)
		}
	})
}
