package field

import (
	"errors"
	"fmt"
	"io"

	"github.com/art32/art32/internal/aead"
)

const (
	// ChunkSize is how many bytes of a stream's content are sealed together, and
	// decrypted together to read one of them.
	ChunkSize = 64 << 10
	// MaxStream is the longest content of a stream in bytes, 1 TiB.
	MaxStream = 1 << 40

	sealedChunk = ChunkSize + aead.ChunkOverhead
	streamHead  = aead.StreamHeaderSize
)

// ErrTooLong says that a stream was to hold more than [MaxStream] bytes.
var ErrTooLong = errors.New("field: stream longer than 1 TiB")

// StreamSize is the length in bytes of a stream whose content has n: what a
// store wants to know before it is written.
func StreamSize(n int64) int64 {
	chunks := max(1, (n+ChunkSize-1)/ChunkSize)
	return streamHead + n + chunks*aead.ChunkOverhead
}

// contentSize is the reverse of StreamSize; false for the length of no stream.
func contentSize(size int64) (int64, bool) {
	chunks := (size - streamHead + sealedChunk - 1) / sealedChunk
	n := size - streamHead - chunks*aead.ChunkOverhead
	return n, n >= 0 && n <= MaxStream && StreamSize(n) == size
}

// StreamKeyVersion reads from the first bytes of a stream, at least 69, the
// version of the data key that it was sealed with; false when it is no stream.
func StreamKeyVersion(head []byte) (uint32, bool) { return aead.StreamKeyVersion(head) }

// SealStream begins a stream: an attachment of any length that opens with the
// same key and scope only. It writes the header to dst; content follows through
// [StreamWriter.ReadFrom] or Write, and the stream needs Close to be whole. It
// returns [ErrScope] or the error of dst. A stream has a key of its own and takes
// nothing from a [Budget].
//
// The row of the scope should be that of the attachment, so that a content is
// replaced and not kept beside a new one: an older stream of the same place
// opens too.
func (c *Cipher) SealStream(dst io.Writer, s Scope) (*StreamWriter, error) {
	if !s.valid() {
		return nil, ErrScope
	}
	head, stream, err := c.get().aead.NewStream(nil, s.Tenant, s.Table, s.Column, s.Row)
	if errors.Is(err, aead.ErrScope) {
		return nil, ErrScope
	}
	if err != nil {
		return nil, fmt.Errorf("field: seal stream: %w", err)
	}
	if _, err := dst.Write(head); err != nil {
		return nil, fmt.Errorf("field: seal stream: %w", err)
	}
	return newStreamWriter(dst, stream), nil
}

// OpenStream opens the stream of size bytes in src for reading from any place. It
// reads the header and the last chunk, so that a stream that was cut, extended or
// moved is refused before any of it is used: [ErrOpen], else the error of src.
// A later version of the key opens it as [Cipher.With] has it.
func (c *Cipher) OpenStream(src io.ReaderAt, size int64, s Scope) (*Stream, error) {
	n, ok := contentSize(size)
	if !ok {
		return nil, ErrOpen
	}
	head := make([]byte, streamHead)
	if err := readAt(src, head, 0); err != nil {
		return nil, err
	}
	stream, err := c.openHead(head, s)
	if err != nil {
		return nil, err
	}
	return newStream(src, stream, n)
}

// ReadStream opens a stream that can only be read from its beginning, such as
// the body of an answer. What it gives is authentic as far as it goes; that the
// stream is whole shows at its end: [io.EOF] for one that is, [ErrOpen] for one
// that was cut. The caller must not act on a part. Where src can be read at any
// place, [Cipher.OpenStream] knows at once.
func (c *Cipher) ReadStream(src io.Reader, s Scope) (*StreamReader, error) {
	head := make([]byte, streamHead)
	if _, err := io.ReadFull(src, head); err != nil {
		return nil, readError(err)
	}
	stream, err := c.openHead(head, s)
	if err != nil {
		return nil, err
	}
	return newStreamReader(src, stream), nil
}

func (c *Cipher) openHead(head []byte, s Scope) (*aead.Stream, error) {
	version, _ := aead.StreamKeyVersion(head)
	stream, err := c.get().opener(version).OpenStream(head, s.Tenant, s.Table, s.Column, s.Row)
	if err != nil {
		return nil, ErrOpen
	}
	return stream, nil
}

func readAt(src io.ReaderAt, b []byte, off int64) error {
	if n, err := src.ReadAt(b, off); n < len(b) {
		return readError(err)
	}
	return nil
}

// readError tells a source that is too short, which is what a cut stream looks
// like, from one that fails.
func readError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrOpen
	}
	return fmt.Errorf("field: read stream: %w", err)
}
