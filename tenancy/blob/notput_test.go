package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// What cannot be put leaves neither row nor event.
func TestNotPut(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		broken := errors.New("broken")
		for name, r := range map[string]io.Reader{
			"error": iotest.ErrReader(broken), "error behind content": io.MultiReader(bytes.NewReader(random(200_000)), iotest.ErrReader(broken)),
			"connection": io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)),
			"hangs":      hanging{},
		} {
			a := attachment{Customer: uuid.New()}
			if err := w.store.Put(ctx, w.DB, &a, r); err == nil || !a.Content.IsNull() {
				t.Errorf("%s: %v", name, err)
			}
		}
		a := attachment{Customer: uuid.New()}
		if err := w.store.Put(ctx, w.DB, &a, iotest.ErrReader(broken)); !errors.Is(err, broken) {
			t.Errorf("the content's own error: %v", err)
		}
		if left := w.files(t); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		for name, ctx := range map[string]context.Context{
			"no tenant": tenancy.WithActor(t.Context(), w.Actor), "nobody": tenancy.WithTenant(t.Context(), w.A),
		} {
			read := false
			r := iotest.ErrReader(broken)
			if err := w.store.Put(ctx, w.DB, &a, watched{r, &read}); err == nil || read {
				t.Errorf("%s: %v, read %v", name, err, read)
			}
		}
		good := w.put(t, w.A, []byte("x"))
		for name, row := range map[string]*attachment{"has one": &good, "none": nil} {
			if err := w.store.Put(ctx, w.DB, row, strings.NewReader("x")); !errors.Is(err, tenancy.ErrBadValue) {
				t.Errorf("%s: %v", name, err)
			}
		}
		same := attachment{ID: good.ID, Customer: uuid.New()}
		if err := w.store.Put(ctx, w.DB, &same, strings.NewReader("other")); !errors.Is(err, tenancy.ErrExists) || !same.Content.IsNull() {
			t.Errorf("an id that is taken: %v", err)
		}
		if b, err := w.read(ctx, good.ID); err != nil || string(b) != "x" {
			t.Errorf("what had it: %q, %v", b, err)
		}
		n, err := attachments.Count(ctx, w.DB)
		if err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
		empty := attachment{Customer: uuid.New()}
		must(t, attachments.Insert(ctx, w.DB, &empty))
		if _, err := w.read(ctx, empty.ID); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a row without content: %v", err)
		}
		must(t, w.store.Delete(ctx, w.DB, empty.ID))
		w.store.SetGrace(-time.Hour)
		late := attachment{Customer: uuid.New()}
		if err := w.store.Put(ctx, w.DB, &late, strings.NewReader("x")); err == nil {
			t.Error("a Put that Sweep could overtake went on")
		}
	})
}

type hanging struct{}

func (hanging) Read([]byte) (int, error) { return 0, nil }

type watched struct {
	io.Reader

	read *bool
}

func (w watched) Read(b []byte) (int, error) { *w.read = true; return w.Reader.Read(b) }
