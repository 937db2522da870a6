package field_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/promise"
)

var sizes = []struct {
	bytes int
	name  string
	most  float64 // of the time of AES-256-GCM with a fresh key schedule
}{{32, "32B", 0.9}, {256, "256B", 0.9}, {4 << 10, "4KiB", 1}, {64 << 10, "64KiB", 1 / 0.95}}

// BenchmarkSeal measures against AES-256-GCM that schedules its key for each
// call: what encryption costs without a cache of keys, and without commitment.
func BenchmarkSeal(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			c, plain := newCipher(b, 1), make([]byte, s.bytes)
			dst := make([]byte, 0, s.bytes+field.Overhead)
			got := promise.Ratio(b, func(n int) {
				for range n {
					must(c.Seal(dst, plain, place))
				}
			}, func(n int) {
				for range n {
					freshGCM().Seal(dst, nil, plain, nil)
				}
			})
			promise.Report(b, "crypto/field-seal-"+s.name, "ratio", got, promise.AtMost(s.most))
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			c, plain := newCipher(b, 1), make([]byte, s.bytes)
			dst := make([]byte, 0, s.bytes+field.Overhead)
			sealed := must(c.Seal(nil, plain, place))
			other := freshGCM().Seal(nil, nil, plain, nil)
			got := promise.Ratio(b, func(n int) {
				for range n {
					must(c.Open(dst, sealed, place))
				}
			}, func(n int) {
				for range n {
					must(freshGCM().Open(dst, nil, other, nil))
				}
			})
			promise.Report(b, "crypto/field-open-"+s.name, "ratio", got, promise.AtMost(s.most))
		})
	}
}

// BenchmarkStreamSeal measures against the same chunks under AES-256-GCM with a
// cached key, written to the same place: what order, end and binding cost.
func BenchmarkStreamSeal(b *testing.B) {
	c, gcm := newCipher(b, 1), freshGCM()
	plain := make([]byte, 64*field.ChunkSize)
	got := promise.Ratio(b, func(n int) {
		for range n {
			w := must(c.SealStream(io.Discard, place))
			must(w.Write(plain))
			must(0, w.Close())
		}
	}, func(n int) {
		out := make([]byte, 0, field.ChunkSize+28)
		for range n {
			for chunk := range slices.Chunk(plain, field.ChunkSize) {
				must(io.Discard.Write(gcm.Seal(out, nil, chunk, nil)))
			}
		}
	})
	promise.Report(b, "crypto/field-stream-seal", "ratio", got, promise.AtMost(1.1))
}

// BenchmarkStreamOpen reads a stream from memory chunk by chunk.
func BenchmarkStreamOpen(b *testing.B) {
	c, gcm := newCipher(b, 1), freshGCM()
	sealed := sealStream(b, c, make([]byte, 16*field.ChunkSize), place)
	raw := gcm.Seal(nil, nil, make([]byte, field.ChunkSize), nil)
	r := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), place))
	buf := make([]byte, field.ChunkSize)
	got := promise.Ratio(b, func(n int) {
		for range n {
			for i := range int64(16) {
				must(r.ReadAt(buf, i*field.ChunkSize))
			}
		}
	}, func(n int) {
		in := make([]byte, len(raw))
		for range n {
			for range 16 {
				copy(in, raw) // a source has it somewhere else
				must(gcm.Open(buf[:0], nil, in, nil))
			}
		}
	})
	promise.Report(b, "crypto/field-stream-open", "ratio", got, promise.AtMost(1.1))
}

// BenchmarkStreamSpeed is the slower one of sealing and opening, each in its best
// round: the machine has other things to do in the others.
func BenchmarkStreamSpeed(b *testing.B) {
	c := newCipher(b, 1)
	plain := make([]byte, 64*field.ChunkSize)
	sealed := sealStream(b, c, plain, place)
	buf := make([]byte, field.ChunkSize)
	seal, open := time.Hour, time.Hour
	for b.Loop() {
		start := time.Now()
		w := must(c.SealStream(io.Discard, place))
		must(w.Write(plain))
		must(0, w.Close())
		middle := time.Now()
		must(io.CopyBuffer(struct{ io.Writer }{io.Discard}, must(c.ReadStream(bytes.NewReader(sealed), place)), buf))
		seal, open = min(seal, middle.Sub(start)), min(open, time.Since(middle))
	}
	speed := float64(len(plain)) / 1e9 / max(seal, open).Seconds()
	promise.Report(b, "crypto/field-stream-speed", "GB/s", speed, promise.AtLeast(1))
}

// BenchmarkStreamAllocations: none per chunk.
func BenchmarkStreamAllocations(b *testing.B) {
	c, chunk := newCipher(b, 1), make([]byte, field.ChunkSize)
	sealed := sealStream(b, c, make([]byte, 64*field.ChunkSize), place)
	w := must(c.SealStream(io.Discard, place))
	r := must(c.OpenStream(bytes.NewReader(sealed), int64(len(sealed)), place))
	from := must(c.ReadStream(bytes.NewReader(sealed), place))
	i := int64(0)
	got := testing.AllocsPerRun(60, func() {
		must(w.Write(chunk))
		must(r.ReadAt(chunk, i*field.ChunkSize))
		must(r.ReadAt(chunk[:100], i*field.ChunkSize+7))
		must(io.ReadFull(from, chunk))
		i++
	})
	for b.Loop() { // the figure is no time
	}
	promise.Report(b, "crypto/field-stream-allocations", "allocs", got, promise.AtMost(0))
}

// BenchmarkAllocations: none with a cached key.
func BenchmarkAllocations(b *testing.B) {
	c, plain := newCipher(b, 1), make([]byte, 256)
	dst := make([]byte, 0, 1024)
	sealed := must(c.Seal(nil, plain, place))
	got := testing.AllocsPerRun(1000, func() {
		must(c.Seal(dst, plain, place))
		must(c.Open(dst, sealed, place))
	})
	for b.Loop() { // the figure is no time
	}
	promise.Report(b, "crypto/field-allocations", "allocs", got, promise.AtMost(0))
}

// BenchmarkNewCipher is the first use of a key.
func BenchmarkNewCipher(b *testing.B) {
	key := make([]byte, field.KeySize)
	for b.Loop() {
		must(field.NewCipher(1, key))
	}
	micros := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / 1000
	promise.Report(b, "crypto/field-first-use", "us", micros, promise.AtMost(2))
}

func BenchmarkReveal(b *testing.B) {
	c, e := newCipher(b, 1), field.New("a@example.org")
	if err := e.Seal(c, place); err != nil {
		b.Fatal(err)
	}
	back := loaded[string](e.Ciphertext())
	back.Attach(c, place)
	b.ReportAllocs()
	for b.Loop() {
		must(back.Reveal())
	}
}

func BenchmarkIndexSum(b *testing.B) {
	for _, t := range []field.Transform{field.Exact, field.Email} {
		b.Run(string(t), func(b *testing.B) {
			x := must(field.NewIndex(indexKey, "customers.email", t, 100_000))
			b.ReportAllocs()
			for b.Loop() {
				x.Sum("juergen@example.org")
			}
		})
	}
}

func freshGCM() cipher.AEAD {
	return must(cipher.NewGCMWithRandomNonce(must(aes.NewCipher(make([]byte, field.KeySize)))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprint("field_test: ", err))
	}
	return v
}
