package field_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// vector is one line of testdata/field-v1.json. The file is only ever added to:
// what it holds must open in every later version.
type vector struct {
	Name       string
	Key        string // hexadecimal, as all bytes here
	KeyVersion uint32
	Nonce      string
	Tenant     string
	Table      string
	Column     string
	Row        string
	Plaintext  string
	Ciphertext string
}

func (v vector) scope() field.Scope {
	return field.Scope{Tenant: v.Tenant, Table: v.Table, Column: v.Column, Row: v.Row}
}

func readVectors(tb testing.TB) []vector { return readJSON[vector](tb, "testdata/field-v1.json") }

// readJSON reads a file of vectors, and refuses members that nobody looks at.
func readJSON[V any](tb testing.TB, path string) []V {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var vectors []V
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&vectors); err != nil || len(vectors) == 0 {
		tb.Fatalf("%s: %d vectors, %v", path, len(vectors), err)
	}
	return vectors
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for _, v := range readVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c, err := field.NewCipher(v.KeyVersion, unhex(t, v.Key))
			if err != nil {
				t.Fatal(err)
			}
			plain, sealed := unhex(t, v.Plaintext), unhex(t, v.Ciphertext)
			got, err := c.Open(nil, sealed, v.scope())
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("opened to %x, %v", got, err)
			}
			if fips140.Enforced() {
				return // a nonce of our choice is not allowed
			}
			if got := specSeal(t, v); !bytes.Equal(got, sealed) {
				t.Errorf("by the specification:\n%x\nin the file:\n%x", got, sealed)
			}
			sealed[len(sealed)-1] ^= 1
			if _, err := c.Open(nil, sealed, v.scope()); !errors.Is(err, field.ErrOpen) {
				t.Errorf("changed: %v", err)
			}
		})
	}
}

// TestVectorsRefused opens what no reader may open. Their nonce and plaintext are
// left out, for there is none.
func TestVectorsRefused(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for _, v := range readJSON[vector](t, "testdata/field-v1-refused.json") {
		c := must(field.NewCipher(v.KeyVersion, unhex(t, v.Key)))
		if got, err := c.Open(nil, unhex(t, v.Ciphertext), v.scope()); !errors.Is(err, field.ErrOpen) || got != nil {
			t.Errorf("%s: %x, %v", v.Name, got, err)
		}
	}
}

// specSeal is docs/formats/field.md written down a second time, with the
// standard library alone and the vector's nonce.
func specSeal(tb testing.TB, v vector) []byte {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	keys, err := hkdf.Expand(sha256.New, unhex(tb, v.Key), "art32/field/v1", 64)
	must(err)
	block, err := aes.NewCipher(keys[:32])
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	header := binary.BigEndian.AppendUint32([]byte{1}, v.KeyVersion)
	var scope []byte
	for _, part := range []string{v.Tenant, v.Table, v.Column, v.Row} {
		scope = append(binary.BigEndian.AppendUint32(scope, uint32(len(part))), part...)
	}
	nonce := unhex(tb, v.Nonce)
	box := gcm.Seal(nil, nonce, unhex(tb, v.Plaintext), bytes.Join([][]byte{header, scope}, nil))
	commit := hmac.New(sha256.New, keys[32:])
	commit.Write(bytes.Join([][]byte{[]byte("art32/field/v1/commit"), header, nonce, box[len(box)-16:], scope}, nil))
	return bytes.Join([][]byte{header, nonce, box, commit.Sum(nil)}, nil)
}
