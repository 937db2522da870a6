package blob

import (
	"context"
	"io"
	"iter"
	"time"
)

// Place keeps objects by their names: a folder (package dirstore), a bucket (package
// s3store). It sees ciphertexts and names that tell a tenant's id and a random one.
// Its methods are safe for concurrent use, and return the error of ctx soon after
// that has ended. Names are of the letters, digits and "-_.%/" that [tenancy.Key]
// gives, parts never empty, "." or ".."; any other must be refused. No error holds
// what an object says. The kit in blobtest says whether one of your own does what is
// asked here.
type Place interface {
	// Put keeps what r gives up to [io.EOF] as the object name, which nobody has used
	// before; where it is taken the object may not become a mixture. When it returns
	// nil the object is whole, and lasts. Otherwise, and when the process ends
	// meanwhile, Open finds none. Any other error of r is one, [io.ErrUnexpectedEOF]
	// too. It does not hold the whole in memory.
	Put(ctx context.Context, name string, r io.Reader) error

	// Open reads the object from the byte at from on, and says how long the whole is.
	// The caller closes it. What ctx ends while it is read breaks off. Where there is
	// no such object the error is [io/fs.ErrNotExist].
	Open(ctx context.Context, name string, from int64) (body io.ReadCloser, size int64, err error)

	// Remove removes the object and what unfinished calls of Put have left of it. One
	// that is not there is no error.
	Remove(ctx context.Context, name string) error

	// List yields the objects whose names begin with prefix, in any order, and those
	// that an unfinished call of Put has left something of; the same name may come
	// twice. It holds a bounded part in memory. An error ends it.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
}

// Object is one object of a [Place].
type Object struct {
	Name    string    // as it was given to Put
	Written time.Time // when it was written, or begun
}
