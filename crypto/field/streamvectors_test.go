package field_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// streamVector is one entry of testdata/stream-v1.json. The file is only ever
// added to: what it holds must open in every later version.
type streamVector struct {
	Name       string
	Key        string // hexadecimal, as all bytes here
	KeyVersion uint32
	Salt       string
	Nonces     []string // one per chunk
	Tenant     string
	Table      string
	Column     string
	Row        string
	Plaintext  string
	Times      int // how often the plaintext is repeated
	Ciphertext string
}

// refusedStream is one entry of testdata/stream-v1-refused.json: pieces of the
// ciphertexts of streamVectors, one behind the other, and where to read them.
type refusedStream struct {
	Name       string
	Key        string
	KeyVersion uint32
	Tenant     string
	Table      string
	Column     string
	Row        string
	Pieces     []streamPiece
}

// streamPiece is the bytes From to To, exclusive, of a vector's ciphertext, each
// xored with Flip.
type streamPiece struct {
	Of       string
	From, To int
	Flip     byte
}

func (v streamVector) scope() field.Scope {
	return field.Scope{Tenant: v.Tenant, Table: v.Table, Column: v.Column, Row: v.Row}
}

func readStreamVectors(tb testing.TB) []streamVector {
	return readJSON[streamVector](tb, "testdata/stream-v1.json")
}

func TestStreamVectors(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for _, v := range readStreamVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c := must(field.NewCipher(v.KeyVersion, unhex(t, v.Key)))
			plain, sealed := bytes.Repeat(unhex(t, v.Plaintext), v.Times), unhex(t, v.Ciphertext)
			for how, open := range map[string]func(*field.Cipher, []byte, field.Scope) ([]byte, error){"at": openAt, "from": openFrom} {
				if got, err := open(c, sealed, v.scope()); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s: %d bytes, %v", how, len(got), err)
				}
			}
			if fips140.Enforced() {
				return // nonces of our choice are not allowed
			}
			if got := specSealStream(t, v); !bytes.Equal(got, sealed) {
				t.Errorf("by the specification %d bytes:\n%.200x\nin the file %d:\n%.200x", len(got), got, len(sealed), sealed)
			}
		})
	}
}

func TestStreamVectorsRefused(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	of := map[string][]byte{}
	for _, v := range readStreamVectors(t) {
		of[v.Name] = unhex(t, v.Ciphertext)
	}
	for _, v := range readJSON[refusedStream](t, "testdata/stream-v1-refused.json") {
		var sealed []byte
		for _, p := range v.Pieces {
			for _, b := range of[p.Of][p.From:p.To] {
				sealed = append(sealed, b^p.Flip)
			}
		}
		c := must(field.NewCipher(v.KeyVersion, unhex(t, v.Key)))
		s := field.Scope{Tenant: v.Tenant, Table: v.Table, Column: v.Column, Row: v.Row}
		for how, open := range map[string]func(*field.Cipher, []byte, field.Scope) ([]byte, error){"at": openAt, "from": openFrom} {
			if _, err := open(c, sealed, s); !errors.Is(err, field.ErrOpen) {
				t.Errorf("%s, %s: %v", v.Name, how, err)
			}
		}
	}
}

// specSealStream is docs/formats/stream.md written down a second time, with the
// standard library alone and the vector's salt and nonces.
func specSealStream(tb testing.TB, v streamVector) []byte {
	tb.Helper()
	const chunk = 65536
	head := binary.BigEndian.AppendUint32([]byte{0x81}, v.KeyVersion)
	head = append(head, unhex(tb, v.Salt)...)
	info := append([]byte("art32/stream/v1"), head...)
	for _, part := range []string{v.Tenant, v.Table, v.Column, v.Row} {
		info = append(binary.BigEndian.AppendUint32(info, uint32(len(part))), part...)
	}
	keys := must(hkdf.Expand(sha256.New, unhex(tb, v.Key), string(info), 64))
	gcm := must(cipher.NewGCM(must(aes.NewCipher(keys[:32]))))
	out := append(head, keys[32:]...)
	plain := bytes.Repeat(unhex(tb, v.Plaintext), v.Times)
	for i := 0; i == 0 || len(plain) > 0; i++ {
		n := min(chunk, len(plain))
		nonce := unhex(tb, v.Nonces[i])
		position := append(binary.BigEndian.AppendUint32(nil, uint32(i)), 0)
		if n == len(plain) {
			position[4] = 1
		}
		out = gcm.Seal(append(out, nonce...), nonce, plain[:n], position)
		plain = plain[n:]
	}
	return out
}
