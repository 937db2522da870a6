package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"github.com/art32/art32/tenancy/blob"
)

// The lengths are those at which places change what they do: one request, several
// parts.
const (
	short = 70_001
	long  = 12<<20 + 3
)

// content gives n bytes that differ from place to place, the same for each seed.
func content(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

func read(ctx context.Context, p blob.Place, name string, from int64) (b []byte, size int64, err error) {
	body, size, err := p.Open(ctx, name, from)
	if err != nil {
		return nil, 0, err
	}
	b, err = io.ReadAll(body)
	return b, size, errors.Join(err, body.Close())
}

// holds reports whether the object is what it should be.
func holds(ctx context.Context, p blob.Place, name string, want []byte) error {
	got, size, err := read(ctx, p, name, 0)
	if err != nil {
		return fmt.Errorf("reading %d bytes: %w", len(want), err)
	}
	if size != int64(len(want)) || !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes became %d, said to be %d", len(want), len(got), size)
	}
	return nil
}

// gone reports whether there is no such object.
func gone(ctx context.Context, p blob.Place, name string) error {
	body, _, err := p.Open(ctx, name, 0)
	if err == nil {
		return errors.Join(errors.New("there is an object"), body.Close())
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("what is not there: %w, not fs.ErrNotExist", err)
	}
	return nil
}

// names are those that a list gives.
func names(ctx context.Context, p blob.Place, prefix string) (map[string]int, error) {
	all := map[string]int{}
	for o, err := range p.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		all[o.Name]++
	}
	return all, nil
}

// reader is a content that does something between.
type reader struct {
	left []byte
	step func(left int) error // before each read
	end  error
}

func (r *reader) Read(b []byte) (int, error) {
	if r.step != nil {
		if err := r.step(len(r.left)); err != nil {
			return 0, err
		}
	}
	if len(r.left) == 0 {
		return 0, r.end
	}
	n := copy(b[:min(len(b), 100_000)], r.left)
	r.left = r.left[n:]
	return n, nil
}
