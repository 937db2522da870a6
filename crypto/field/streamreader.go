package field

import (
	"errors"
	"fmt"
	"io"

	"github.com/art32/art32/internal/aead"
)

// StreamReader reads a stream from its beginning, as [Cipher.ReadStream] opened
// it. It is for one goroutine and holds two chunks, about 128 KiB.
type StreamReader struct{ get hidden[streamReader] }

var _ io.Reader = (*StreamReader)(nil)

type streamReader struct {
	src    io.Reader
	stream *aead.Stream
	sealed []byte // one byte more than a chunk: whether more follows
	have   int    // bytes of the next chunk that are in sealed
	plain  []byte
	unread []byte // of plain
	chunks int64  // opened
	err    error  // what follows unread
}

func newStreamReader(src io.Reader, stream *aead.Stream) *StreamReader {
	return &StreamReader{hide(&streamReader{
		src: src, stream: stream, sealed: make([]byte, sealedChunk+1), plain: make([]byte, 0, ChunkSize),
	})}
}

// Read implements [io.Reader]. It returns [ErrOpen] for a stream that was cut,
// extended or changed, or the error of what is read from; then all calls return
// it.
func (r *StreamReader) Read(p []byte) (int, error) { return r.get().read(p) }

// Format keeps the content out of every log.
func (r StreamReader) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

func (r *streamReader) read(p []byte) (int, error) {
	for len(r.unread) == 0 && r.err == nil {
		r.next()
	}
	if len(r.unread) == 0 {
		return 0, r.err
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

// next opens one chunk, once it is known whether another follows.
func (r *streamReader) next() {
	n, err := io.ReadFull(r.src, r.sealed[r.have:])
	n += r.have
	last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !last {
		r.fail(readError(err))
		return
	}
	chunk := r.sealed[:min(n, sealedChunk)]
	empty := last && r.chunks > 0 && n == aead.ChunkOverhead // has another form without it
	if empty || r.chunks == MaxStream/ChunkSize {
		r.fail(ErrOpen)
		return
	}
	out, err := r.stream.Open(r.plain[:0], chunk, uint32(r.chunks), last)
	if err != nil {
		r.fail(ErrOpen)
		return
	}
	r.chunks++
	r.unread = out
	if last {
		r.err = io.EOF
		return
	}
	r.have = copy(r.sealed, r.sealed[sealedChunk:])
}

func (r *streamReader) fail(err error) {
	clear(r.plain[:cap(r.plain)])
	r.err = err
}
