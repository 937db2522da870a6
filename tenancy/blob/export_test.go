package blob

import (
	"io"
	"time"

	"github.com/art32/art32/crypto/field"
)

// SetGrace changes after what time Sweep takes an object for forgotten.
func (s *Store[T]) SetGrace(d time.Duration) { s.grace = d }

// Parts is a reference taken apart.
type Parts struct {
	Object, Tenant string
	Size           int64
	Key            []byte
}

// Parts takes a reference apart.
func (r Ref) Parts() (Parts, error) {
	p, err := r.parse()
	if err != nil {
		return Parts{}, err
	}
	return Parts{p.id.String(), p.tenant.String(), p.size, p.key}, nil
}

// OpenWith opens an object by its reference alone.
func (r Ref) OpenWith(object io.ReaderAt, size int64, table string) (*field.Stream, error) {
	p, err := r.parse()
	if err != nil {
		return nil, err
	}
	c, err := p.cipher()
	if err != nil {
		return nil, err
	}
	return c.OpenStream(object, size, p.scope(table))
}
