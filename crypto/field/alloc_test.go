//go:build !race

// The race detector makes sync.Pool forget at random.

package field_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/art32/art32/crypto/field"
)

func TestStreamAllocatesNothingPerChunk(t *testing.T) {
	c, chunk := newCipher(t, 1), make([]byte, field.ChunkSize)
	sealed := sealStream(t, c, make([]byte, 300*field.ChunkSize), file)
	w := must(c.SealStream(io.Discard, file))
	r := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), file))
	from := must(c.ReadStream(bytes.NewReader(sealed), file))
	i := int64(0)
	if n := testing.AllocsPerRun(200, func() {
		must(w.Write(chunk))
		must(r.ReadAt(chunk, i*field.ChunkSize))
		must(r.ReadAt(chunk[:100], i*field.ChunkSize+7))
		must(io.ReadFull(from, chunk))
		i++
	}); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
