package crypto_test

import (
	"fmt"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/promise"
)

var place = field.Scope{
	Tenant: "0198c1f2-7c00-7000-8000-000000000001", Table: "customers", Column: "email",
	Row: "0198c1f2-7c00-7000-8000-000000000002",
}

var sizes = []struct {
	bytes int
	name  string
}{{32, "32B"}, {256, "256B"}, {4 << 10, "4KiB"}, {64 << 10, "64KiB"}}

// faster is how many times faster than Tink's XAES-256-GCM a field must be
// sealed and opened.
const faster = 1.6

// BenchmarkTinkSeal measures against Tink's XAES-256-GCM (192-bit nonce)
// through a keyset handle, with the same scope as associated data.
func BenchmarkTinkSeal(b *testing.B) {
	x, c := newTink(b), newCipher(b)
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			plain, dst := make([]byte, s.bytes), make([]byte, 0, s.bytes+field.Overhead)
			ratio := promise.Ratio(b, func(n int) {
				for range n {
					must(x.Encrypt(plain, associated()))
				}
			}, func(n int) {
				for range n {
					must(c.Seal(dst, plain, place))
				}
			})
			promise.Report(b, "crypto/tink-xaes-seal-"+s.name, "ratio", ratio, promise.AtLeast(faster))
		})
	}
}

func BenchmarkTinkOpen(b *testing.B) {
	x, c := newTink(b), newCipher(b)
	for _, s := range sizes {
		b.Run(s.name, func(b *testing.B) {
			plain, dst := make([]byte, s.bytes), make([]byte, 0, s.bytes+field.Overhead)
			theirs, ours := must(x.Encrypt(plain, associated())), must(c.Seal(nil, plain, place))
			ratio := promise.Ratio(b, func(n int) {
				for range n {
					must(x.Decrypt(theirs, associated()))
				}
			}, func(n int) {
				for range n {
					must(c.Open(dst, ours, place))
				}
			})
			promise.Report(b, "crypto/tink-xaes-open-"+s.name, "ratio", ratio, promise.AtLeast(faster))
		})
	}
}

// associated is what a user of Tink builds to bind a value to its place.
func associated() []byte {
	return []byte(place.Tenant + "\x00" + place.Table + "\x00" + place.Column + "\x00" + place.Row)
}

func newTink(b *testing.B) tink.AEAD {
	b.Helper()
	return must(aead.New(must(keyset.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate()))))
}

func newCipher(b *testing.B) *field.Cipher {
	b.Helper()
	return must(field.NewCipher(1, make([]byte, field.KeySize)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprint("crypto_test: ", err))
	}
	return v
}
