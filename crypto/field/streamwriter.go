package field

import (
	"errors"
	"fmt"
	"io"

	"github.com/art32/art32/internal/aead"
)

// errClosed says that a stream was written to after its end.
var errClosed = errors.New("field: write stream: already closed")

// StreamWriter seals what is written to it, chunk by chunk, as [Cipher.SealStream]
// has begun. It is for one goroutine and holds two chunks, about 128 KiB.
//
// Close makes the stream whole. Where the content could not be read to its end
// the caller must not call it: what was written so far would pass for all there
// is. Without it the stream does not open. [StreamWriter.ReadFrom] sees to that
// itself. [io.Copy] calls it only for a source that is no [io.WriterTo]; one that
// is writes by itself, and nobody tells the stream when it breaks off.
type StreamWriter struct{ get hidden[streamWriter] }

var (
	_ io.WriteCloser = (*StreamWriter)(nil)
	_ io.ReaderFrom  = (*StreamWriter)(nil)
)

type streamWriter struct {
	dst    io.Writer
	stream *aead.Stream
	plain  []byte // what is to be sealed: at most a chunk between calls
	sealed []byte
	chunks int64 // sealed and written
	err    error // after which nothing follows
}

func newStreamWriter(dst io.Writer, stream *aead.Stream) *StreamWriter {
	return &StreamWriter{hide(&streamWriter{
		dst: dst, stream: stream, plain: make([]byte, 0, ChunkSize+1), sealed: make([]byte, 0, sealedChunk),
	})}
}

// Write implements [io.Writer]. It returns [ErrTooLong], or the error of what is
// written to, after which all calls return it.
func (w *StreamWriter) Write(p []byte) (int, error) { return w.get().write(p) }

// ReadFrom implements [io.ReaderFrom]: it seals the content of src to its end.
// After an error of src the stream can be neither continued nor closed, so that
// a deferred Close does no harm: call it in place of [io.Copy].
func (w *StreamWriter) ReadFrom(src io.Reader) (int64, error) { return w.get().readFrom(src) }

// Close seals the last chunk, which makes the stream whole, and leaves what is
// written to open. It returns the first error that stood in its way, and then
// the stream does not open. A second call does nothing.
func (w *StreamWriter) Close() error { return w.get().close() }

// Format keeps the content out of every log.
func (w StreamWriter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

func (w *streamWriter) write(p []byte) (n int, err error) {
	for w.err == nil && len(p) > 0 {
		if len(w.plain) == ChunkSize {
			w.flush(w.plain, false)
			continue
		}
		if len(w.plain) == 0 && len(p) > ChunkSize { // more follows: it is not the last
			w.flush(p[:ChunkSize], false)
			n, p = n+ChunkSize, p[ChunkSize:]
			continue
		}
		taken := min(len(p), ChunkSize-len(w.plain))
		w.plain = append(w.plain, p[:taken]...)
		n, p = n+taken, p[taken:]
	}
	return n, w.err
}

// readFrom reads a byte more than a chunk before it seals that: whether more
// follows is part of the seal.
func (w *streamWriter) readFrom(src io.Reader) (n int64, err error) {
	for w.err == nil {
		taken, err := io.ReadAtLeast(src, w.plain[len(w.plain):ChunkSize+1], 1)
		w.plain = w.plain[:len(w.plain)+taken]
		n += int64(taken)
		switch {
		case err == io.EOF: // one in another error is why it was not read to its end
			return n, nil
		case err != nil:
			w.err = fmt.Errorf("field: write stream: read content: %w", err)
		case len(w.plain) > ChunkSize:
			next := w.plain[ChunkSize]
			w.flush(w.plain[:ChunkSize], false)
			w.plain = append(w.plain, next)
		}
	}
	return n, w.err
}

func (w *streamWriter) close() error {
	if errors.Is(w.err, errClosed) {
		return nil
	}
	if w.err == nil {
		w.flush(w.plain, true)
	}
	clear(w.plain[:cap(w.plain)])
	if w.err != nil {
		return w.err
	}
	w.err = errClosed
	return nil
}

// flush seals and writes one chunk.
func (w *streamWriter) flush(plain []byte, last bool) {
	if w.chunks == MaxStream/ChunkSize {
		w.err = ErrTooLong
		return
	}
	w.sealed = w.stream.Seal(w.sealed[:0], plain, uint32(w.chunks), last)
	w.chunks++
	w.plain = w.plain[:0]
	if _, err := w.dst.Write(w.sealed); err != nil {
		w.err = fmt.Errorf("field: write stream: %w", err)
	}
}
