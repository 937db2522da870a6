package field_test

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"

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
