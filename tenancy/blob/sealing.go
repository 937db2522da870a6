package blob

import (
	"bytes"
	"errors"
	"io"

	"github.com/art32/art32/crypto/field"
)

// sealing gives the stream of what it reads. It is for one goroutine.
type sealing struct {
	src    io.Reader
	stream *field.StreamWriter
	out    bytes.Buffer // sealed and not read yet
	plain  []byte
	size   int64 // of the content so far
	whole  bool  // all of it was read
	failed error // of src
}

func newSealing(c *field.Cipher, s field.Scope, src io.Reader) (*sealing, error) {
	in := &sealing{src: src, plain: make([]byte, field.ChunkSize)}
	var err error
	in.stream, err = c.SealStream(&in.out, s)
	return in, err
}

// errContent stands for an error of the content, which a place could take for the end.
var errContent = errors.New("blob: the content cannot be read")

// Read implements [io.Reader].
func (in *sealing) Read(p []byte) (int, error) {
	for in.out.Len() == 0 && !in.whole && in.failed == nil {
		in.next()
	}
	switch {
	case in.failed != nil:
		return 0, errContent
	case in.out.Len() == 0:
		return 0, io.EOF
	}
	return in.out.Read(p)
}

// next reads one chunk.
func (in *sealing) next() {
	n, err := in.fill()
	in.size += int64(n)
	if _, werr := in.stream.Write(in.plain[:n]); werr != nil {
		in.failed = werr
		return
	}
	clear(in.plain[:n])
	switch {
	case err == io.EOF: //nolint:errorlint // an EOF in another error is why it was not read to its end
		in.failed = in.stream.Close()
		in.whole = in.failed == nil
	case err != nil:
		in.failed = err
	}
}

// fill reads until the chunk is full or src says why not.
func (in *sealing) fill() (n int, err error) {
	for idle := 0; n < len(in.plain) && err == nil; {
		var got int
		got, err = in.src.Read(in.plain[n:])
		n += got
		if idle++; got > 0 {
			idle = 0
		}
		if idle > 100 {
			err = io.ErrNoProgress
		}
	}
	return n, err
}
