package aead

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	// StreamHeaderSize is the length in bytes of what stands before the chunks.
	StreamHeaderSize = headerSize + saltSize + commitSize
	// ChunkOverhead is by how many bytes a chunk is longer than its plaintext.
	ChunkOverhead = nonceSize + tagSize

	labelStream   = "art32/stream/v1"
	streamVersion = 0x81 // unlike the first byte of a field
	saltSize      = 32
)

// Stream seals and opens the chunks of one stream under a key of its own. It is
// safe for concurrent use. The caller must not seal more than 2^32 chunks.
type Stream struct{ gcm cipher.AEAD }

// NewStream draws a salt and derives from it, the key and the scope the key of a
// stream. It appends the header, by which [AEAD.OpenStream] finds it again, to dst.
func (a *AEAD) NewStream(dst []byte, scope ...string) ([]byte, *Stream, error) {
	s := getScratch()
	defer putScratch(s)
	s.setHeader(streamVersion, a.version)
	var salt [saltSize]byte
	rand.Read(salt[:])
	s.ad = append(s.ad, salt[:]...)
	commitment, stream, err := a.stream(s, scope)
	if err != nil {
		return nil, nil, err
	}
	return append(append(dst, s.ad[:headerSize+saltSize]...), commitment...), stream, nil
}

// OpenStream reads the header of a stream, or returns [ErrOpen].
func (a *AEAD) OpenStream(header []byte, scope ...string) (*Stream, error) {
	if len(header) != StreamHeaderSize {
		return nil, ErrOpen
	}
	s := getScratch()
	defer putScratch(s)
	s.setHeader(streamVersion, a.version)
	same := subtle.ConstantTimeCompare(header[:headerSize], s.ad)
	s.ad = append(s.ad, header[headerSize:headerSize+saltSize]...)
	commitment, stream, err := a.stream(s, scope)
	if err != nil {
		return nil, ErrOpen
	}
	same &= subtle.ConstantTimeCompare(header[headerSize+saltSize:], commitment)
	if same != 1 {
		return nil, ErrOpen
	}
	return stream, nil
}

// stream derives a stream from header and salt, which are in s, and scope. The
// second half of what is expanded commits to the first: docs/formats/stream.md.
func (a *AEAD) stream(s *scratch, scope []string) (commitment []byte, _ *Stream, err error) {
	if err := s.addScope(scope); err != nil {
		return nil, nil, err
	}
	key, commitment, err := s.expand(&a.macs.root, labelStream+string(s.ad))
	if err != nil {
		return nil, nil, err
	}
	gcm, err := newGCM(key)
	return commitment, &Stream{gcm: gcm}, err
}

// Seal appends the chunk of plaintext with number n, from 0, to dst. The rest of
// dst's capacity must not overlap plaintext.
func (s *Stream) Seal(dst, plaintext []byte, n uint32, last bool) []byte {
	x := getScratch()
	defer putScratch(x)
	x.setPosition(n, last)
	return s.gcm.Seal(dst, nil, plaintext, x.ad) //nolint:gosec // G407: this AEAD draws the nonce itself
}

// Open appends the plaintext of chunk n to dst, or returns [ErrOpen]. The rest of
// dst's capacity must not overlap chunk.
func (s *Stream) Open(dst, chunk []byte, n uint32, last bool) ([]byte, error) {
	x := getScratch()
	defer putScratch(x)
	x.setPosition(n, last)
	out, err := s.gcm.Open(dst, nil, chunk, x.ad)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// setPosition makes a chunk's number, and whether it is the last one, the
// associated data.
func (s *scratch) setPosition(n uint32, last bool) {
	var end byte
	if last {
		end = 1
	}
	s.ad = append(binary.BigEndian.AppendUint32(s.ad[:0], n), end)
}

// StreamKeyVersion reads the version of the key that a stream was derived from,
// out of its header; false when it is none of this format.
func StreamKeyVersion(header []byte) (uint32, bool) {
	if len(header) < StreamHeaderSize || header[0] != streamVersion {
		return 0, false
	}
	return binary.BigEndian.Uint32(header[1:]), true
}

// Format keeps the key out of every log.
func (s Stream) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }
