package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/art32/art32/crypto/field"
)

// Reader reads a content from any place, and decrypts only what it needs:
// [net/http.ServeContent] takes it. ReadAt and Size are safe for concurrent use; Read
// and Seek are for one goroutine.
type Reader struct {
	stream *field.Stream
	src    *source
}

var (
	_ io.ReadSeekCloser = (*Reader)(nil)
	_ io.ReaderAt       = (*Reader)(nil)
)

// Read implements [io.Reader]. It returns [field.ErrOpen] for a part that was changed,
// or the error of the place.
func (r *Reader) Read(p []byte) (int, error) { return r.stream.Read(p) }

// ReadAt implements [io.ReaderAt], with the errors of Read.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) { return r.stream.ReadAt(p, off) }

// Seek implements [io.Seeker]. It reads nothing.
func (r *Reader) Seek(offset int64, whence int) (int64, error) { return r.stream.Seek(offset, whence) }

// Size is the length of the content in bytes.
func (r *Reader) Size() int64 { return r.stream.Size() }

// Close gives back what the place holds open.
func (r *Reader) Close() error { return r.src.Close() }

// Format keeps the content out of every log.
func (r *Reader) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, field.Redacted) }

// errBrokeOff says that the place gave less than it had announced, as a connection does
// that breaks: that is no sign of tampering.
var errBrokeOff = errors.New("blob: the place broke off")

// source reads an object at any place. It holds two bodies: the beginning waits while
// the end is looked at, so that an object which is read in order is asked for twice.
// The lock of [field.Stream] keeps calls apart.
type source struct {
	ctx    context.Context
	place  Place
	name   string
	size   int64 // that the object must have
	bodies []body
	closed bool
}

// body is an open part of the object.
type body struct {
	io.ReadCloser

	at int64 // what it gives next
}

// ReadAt implements [io.ReaderAt].
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	b, err := s.from(off)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(b, p)
	b.at += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errBrokeOff
	}
	if err == nil && b.at < s.size {
		s.bodies = append(s.bodies, b)
		return n, nil
	}
	return n, errors.Join(err, b.Close())
}

// from takes the body that goes on at off out of those that wait, or opens one.
func (s *source) from(off int64) (body, error) {
	if s.closed {
		return body{}, fs.ErrClosed
	}
	for i, b := range s.bodies {
		if b.at == off {
			s.bodies = append(s.bodies[:i], s.bodies[i+1:]...)
			return b, nil
		}
	}
	if len(s.bodies) > 1 {
		if err := s.release(); err != nil {
			return body{}, err
		}
	}
	in, size, err := s.place.Open(s.ctx, s.name, off)
	if errors.Is(err, fs.ErrNotExist) {
		return body{}, fmt.Errorf("the object is missing: %w", field.ErrOpen)
	}
	if err != nil {
		return body{}, err
	}
	if size != s.size {
		return body{}, errors.Join(fmt.Errorf("the object has another length: %w", field.ErrOpen), in.Close())
	}
	return body{in, off}, nil
}

func (s *source) release() error {
	var errs []error
	for _, b := range s.bodies {
		errs = append(errs, b.Close())
	}
	s.bodies = nil
	return errors.Join(errs...)
}

// Close implements [io.Closer].
func (s *source) Close() error {
	s.closed = true
	return s.release()
}
