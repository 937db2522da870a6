package blob_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy/blob"
)

// Where reads leave an event, there is none without.
func TestReads(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	each(t, func(t *testing.T, w *world) {
		log := &audittest.Recorder{}
		w.store = newStore(t, w.place, &blob.Options{Reads: log})
		a := w.put(t, w.A, []byte("x"))
		_, err := w.read(w.In(t, w.A), a.ID)
		must(t, err)
		got := log.Records()
		ref, err := a.Content.Reveal()
		must(t, err)
		if len(got) != 1 || got[0].Action != "attachments.open" || got[0].Tenant != w.A || "blob:"+got[0].Attr("blob").String() != ref.String() {
			t.Errorf("%v", got)
		}
		log.Fail(errors.New("full"))
		if b, err := w.read(w.In(t, w.A), a.ID); err == nil || len(b) > 0 {
			t.Error("it was opened without its event")
		}
		w.store = newStore(t, w.place, &blob.Options{Reads: w.Recorder})
		if _, err := w.read(w.In(t, w.A), a.ID); err != nil {
			t.Error(err)
		}
		w.Verify(t)
	})
}

// A browser gets parts of it, and the type says nothing of its content when printed.
func TestServe(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		want := random(5*field.ChunkSize + 7)
		a := w.put(t, w.A, want)
		r, err := w.store.Open(w.In(t, w.A), &a)
		must(t, err)
		defer r.Close()
		if r.Size() != int64(len(want)) || fmt.Sprintf("%v %+v", r, r) != field.Redacted+" "+field.Redacted {
			t.Errorf("%d, %v", r.Size(), r)
		}
		for _, part := range [][2]int{{0, len(want) - 1}, {70_000, 70_000}, {len(want) - 3, len(want) - 1}, {field.ChunkSize, 2 * field.ChunkSize}} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", part[0], part[1]))
			out := httptest.NewRecorder()
			http.ServeContent(out, req, "a.bin", time.Time{}, r)
			if out.Code != http.StatusPartialContent || !bytes.Equal(out.Body.Bytes(), want[part[0]:part[1]+1]) {
				t.Errorf("%v: %d, %d bytes", part, out.Code, out.Body.Len())
			}
		}
		must(t, r.Close())
		if _, err := r.ReadAt(make([]byte, 1), 3*field.ChunkSize); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

func TestNew(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		for name, err := range map[string]error{
			"rows":    func() error { _, err := blob.New(nil, contentOf, w.place, nil); return err }(),
			"content": func() error { _, err := blob.New(attachments, nil, w.place, nil); return err }(),
			"place":   func() error { _, err := blob.New(attachments, contentOf, nil, nil); return err }(),
			"nil": func() error {
				_, err := blob.New(attachments, func(*attachment) *field.Encrypted[blob.Ref] { return nil }, w.place, nil)
				return err
			}(),
		} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
