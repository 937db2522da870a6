package field_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/art32/art32/crypto/field"
)

// indexVector is one entry of testdata/index-v1.json. The file is only ever added
// to: tables hold its values.
type indexVector struct {
	Name       string
	Key        string // hexadecimal, as Value
	Label      string
	Transform  string
	Rows       int // expected; 0 for a unique index
	Bits       int
	Text       string
	Normalized string
	Value      string
}

func TestIndexVectors(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for _, v := range readJSON[indexVector](t, "testdata/index-v1.json") {
		key, tr, want := unhex(t, v.Key), field.Transform(v.Transform), unhex(t, v.Value)
		var x *field.Index
		if v.Rows == 0 {
			x = must(field.NewUniqueIndex(key, v.Label, tr))
		} else {
			x = must(field.NewIndex(key, v.Label, tr, v.Rows))
		}
		if x.Width() != v.Bits || x.Normalize(v.Text) != v.Normalized {
			t.Errorf("%s: %d bits of %q", v.Name, x.Width(), x.Normalize(v.Text))
		}
		if got := x.Sum(v.Text); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", v.Name, got, want)
		}
		if got := specIndex(t, v); !bytes.Equal(got, want) {
			t.Errorf("%s: by the specification %x, want %x", v.Name, got, want)
		}
	}
}

// specIndex is the section on blind indexes of docs/formats/field.md, with the
// standard library alone.
func specIndex(tb testing.TB, v indexVector) []byte {
	tb.Helper()
	info := []byte("art32/index/v1")
	for _, part := range []string{v.Label, v.Transform} {
		info = append(binary.BigEndian.AppendUint32(info, uint32(len(part))), part...)
	}
	h := hmac.New(sha256.New, must(hkdf.Expand(sha256.New, unhex(tb, v.Key), string(info), 32)))
	h.Write([]byte(v.Normalized))
	sum := h.Sum(nil)[:(v.Bits+7)/8]
	if rest := v.Bits % 8; rest != 0 {
		sum[len(sum)-1] &= 0xff << (8 - rest)
	}
	return sum
}
