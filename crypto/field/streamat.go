package field

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/art32/art32/internal/aead"
)

// errOffset says that a place before the beginning was asked for.
var errOffset = errors.New("field: read stream: place before the beginning")

// Stream reads a stream from any place, as [Cipher.OpenStream] opened it, and
// decrypts only the chunks that it needs. ReadAt and Size are safe for concurrent
// use if the source is; Read and Seek are for one goroutine. It holds two chunks,
// about 128 KiB: the last one that was read in part stays decrypted until the
// next. It does not close the source.
type Stream struct {
	at      hidden[chunks]
	section *io.SectionReader // Read and Seek
}

var (
	_ io.ReadSeeker = (*Stream)(nil)
	_ io.ReaderAt   = (*Stream)(nil)
)

// chunks are those of a [Stream].
type chunks struct {
	src    io.ReaderAt
	stream *aead.Stream
	size   int64 // of the content

	mu     sync.Mutex
	sealed []byte
	plain  []byte
	held   int64 // number of the chunk in plain; -1 for none
}

// newStream checks the last chunk, and with it the length.
func newStream(src io.ReaderAt, stream *aead.Stream, size int64) (*Stream, error) {
	c := &chunks{
		src: src, stream: stream, size: size, held: -1,
		sealed: make([]byte, 0, sealedChunk), plain: make([]byte, 0, ChunkSize),
	}
	if _, err := c.load(c.last()); err != nil {
		return nil, err
	}
	s := &Stream{at: hide(c)}
	s.section = io.NewSectionReader(s, 0, size)
	return s, nil
}

// ReadAt implements [io.ReaderAt]. It returns [ErrOpen] for a chunk that was
// changed or exchanged, or the error of the source.
func (s *Stream) ReadAt(p []byte, off int64) (int, error) { return s.at().readAt(p, off) }

// Read implements [io.Reader], with the errors of ReadAt.
func (s *Stream) Read(p []byte) (int, error) { return s.section.Read(p) }

// Seek implements [io.Seeker]. It reads nothing.
func (s *Stream) Seek(offset int64, whence int) (int64, error) {
	return s.section.Seek(offset, whence)
}

// Size is the length of the content in bytes.
func (s *Stream) Size() int64 { return s.at().size }

// Format keeps the content out of every log.
func (s Stream) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// readAt reads chunk by chunk.
func (c *chunks) readAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errOffset
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for n < len(p) && off < c.size {
		taken, err := c.readPart(p[n:], off)
		if err != nil {
			return n, err
		}
		n, off = n+taken, off+int64(taken)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPart reads from one chunk: straight into p where that takes it whole.
func (c *chunks) readPart(p []byte, off int64) (int, error) {
	i, from := off/ChunkSize, off%ChunkSize
	length := min(ChunkSize, c.size-i*ChunkSize)
	if from == 0 && int64(len(p)) >= length && i != c.held {
		out, err := c.open(p[:0:length], i)
		return len(out), err
	}
	plain, err := c.load(i)
	if err != nil {
		return 0, err
	}
	return copy(p, plain[from:]), nil
}

// load returns the content of chunk i, which stands until the next call.
func (c *chunks) load(i int64) ([]byte, error) {
	if i == c.held {
		return c.plain, nil
	}
	c.held = -1
	out, err := c.open(c.plain[:0], i)
	if err != nil {
		return nil, err
	}
	c.plain, c.held = out, i
	return out, nil
}

// open decrypts chunk i into dst.
func (c *chunks) open(dst []byte, i int64) ([]byte, error) {
	length := min(ChunkSize, c.size-i*ChunkSize)
	c.sealed = c.sealed[:length+aead.ChunkOverhead]
	if err := readAt(c.src, c.sealed, streamHead+i*sealedChunk); err != nil {
		return nil, err
	}
	out, err := c.stream.Open(dst, c.sealed, uint32(i), i == c.last())
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// last is the number of the last chunk.
func (c *chunks) last() int64 { return max(0, c.size-1) / ChunkSize }
