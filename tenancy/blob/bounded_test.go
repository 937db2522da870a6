package blob_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/tenancytest"
)

// gauge counts what was read of a content and has not reached the place yet.
type gauge struct {
	blob.Place

	src        io.Reader
	held, most int
	read       int
}

func (g *gauge) Read(b []byte) (int, error) {
	n, err := g.src.Read(b)
	g.read += n
	g.held += n
	g.most = max(g.most, g.held)
	return n, err
}

// Put takes the object and keeps nothing.
func (g *gauge) Put(_ context.Context, _ string, r io.Reader) error {
	buf := make([]byte, 1000)
	for {
		n, err := r.Read(buf)
		g.held -= n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// However long a content is, a few chunks of it are held.
func TestBounded(t *testing.T) {
	t.Parallel()
	w := tenancytest.New(t, schema, &tenancytest.Options{Migrations: migrations})
	const size = 40 << 20
	g := &gauge{src: io.LimitReader(rand.NewChaCha8([32]byte{}), size)}
	s := newStore(t, g, nil)
	must(t, s.Put(w.In(t, w.A), w.DB, &attachment{Customer: uuid.New()}, g))
	if g.read != size || g.most > 4*field.ChunkSize {
		t.Errorf("%d bytes read, up to %d held", g.read, g.most)
	}
}

// A place that takes a part only and says that all is well is not believed.
func TestPartTaken(t *testing.T) {
	t.Parallel()
	w := tenancytest.New(t, schema, &tenancytest.Options{Migrations: migrations})
	s := newStore(t, partial{}, nil)
	if err := s.Put(w.In(t, w.A), w.DB, &attachment{Customer: uuid.New()}, io.LimitReader(rand.NewChaCha8([32]byte{}), 1<<20)); err == nil {
		t.Error("a part passed for the whole")
	}
	n, err := attachments.Count(w.In(t, w.A), w.DB)
	if err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

type partial struct{ blob.Place }

func (partial) Put(_ context.Context, _ string, r io.Reader) error {
	_, err := io.CopyN(io.Discard, r, 1000)
	return err
}
