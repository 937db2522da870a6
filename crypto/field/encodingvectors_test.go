package field_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
)

// encodingVector is one entry of testdata/encoding-v1.json: a plaintext and the
// value that it is as the given type, or that no value of the type is written so.
// The file is only ever added to.
type encodingVector struct {
	Name      string
	Type      string
	Value     string `json:",omitempty"`
	Plaintext string // hexadecimal
	Refused   bool   `json:",omitempty"`
}

// codec reads a plaintext as one type and writes it again.
type codec func(c *field.Cipher, plain []byte) (value string, again []byte, err error)

func codecOf[T any](text func(T) string) codec {
	return func(c *field.Cipher, plain []byte) (string, []byte, error) {
		back := loaded[T](must(c.Seal(nil, plain, place)))
		back.Attach(c, place)
		v, err := back.Reveal()
		if err != nil {
			return "", nil, err
		}
		e := field.New(v)
		if err := e.Seal(c, place); err != nil {
			return "", nil, err
		}
		return text(v), must(c.Open(nil, e.Ciphertext(), place)), nil
	}
}

// codecs are the types of the table in docs/formats/field.md.
var codecs = map[string]codec{
	"string":  codecOf(func(v string) string { return v }),
	"[]byte":  codecOf(base64.StdEncoding.EncodeToString),
	"bool":    codecOf(strconv.FormatBool),
	"int64":   codecOf(func(v int64) string { return strconv.FormatInt(v, 10) }),
	"int8":    codecOf(func(v int8) string { return strconv.Itoa(int(v)) }),
	"uint64":  codecOf(func(v uint64) string { return strconv.FormatUint(v, 10) }),
	"uint16":  codecOf(func(v uint16) string { return strconv.Itoa(int(v)) }),
	"float64": codecOf(func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }),
	"float32": codecOf(func(v float32) string { return strconv.FormatFloat(float64(v), 'g', -1, 32) }),
	"time":    codecOf(func(v time.Time) string { return v.Format(time.RFC3339Nano) }),
	"date":    codecOf(field.Date.String),
	"decimal": codecOf(func(v decimal) string { return v.rat.FloatString(2) }),
	"json":    codecOf(func(v address) string { b, err := json.Marshal(v); return string(b) + errText(err) }),
	"map":     codecOf(func(v map[string]int) string { b, err := json.Marshal(v); return string(b) + errText(err) }),
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEncodingVectors(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	seen := map[string]bool{}
	for _, v := range readJSON[encodingVector](t, "testdata/encoding-v1.json") {
		seen[v.Type] = true
		plain := unhex(t, v.Plaintext)
		value, again, err := codecs[v.Type](c, plain)
		switch {
		case v.Refused && !errors.Is(err, field.ErrDecode):
			t.Errorf("%s: %q, %v", v.Name, value, err)
		case !v.Refused && (err != nil || value != v.Value || string(again) != string(plain)):
			t.Errorf("%s: %q, %v; written again %x", v.Name, value, err, again)
		}
	}
	for name := range codecs {
		if !seen[name] {
			t.Errorf("no vector of type %s", name)
		}
	}
}

// FuzzEncoding reads any bytes as every type: it fails with one error or gives a
// value that is written as the same bytes, or as JSON and text are for it.
func FuzzEncoding(f *testing.F) {
	for _, v := range readJSON[encodingVector](f, "testdata/encoding-v1.json") {
		f.Add(unhex(f, v.Plaintext))
	}
	f.Add([]byte(`{"street":"\ud800","Lines":[null]}`))
	f.Add([]byte("0001-01-01 "))
	c := newCipher(f, 1)
	f.Fuzz(func(t *testing.T, plain []byte) {
		for name, codec := range codecs {
			value, again, err := codec(c, plain)
			if err != nil {
				if !errors.Is(err, field.ErrDecode) {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if canonical(name) && string(again) != string(plain) {
				t.Errorf("%s: %x is %q and is written as %x", name, plain, value, again)
			}
			back, twice, err := codec(c, again)
			if err != nil || back != value || string(twice) != string(again) {
				t.Errorf("%s: %q, then %q, %v", name, value, back, err)
			}
		}
	})
}

// canonical are the types of whose values each has one encoding.
func canonical(name string) bool {
	return name != "json" && name != "map" && name != "decimal" && name != "float32"
}

// FuzzLegacy reads what a column may hold before it is encrypted: nothing that
// could be a ciphertext is taken for plaintext.
func FuzzLegacy(f *testing.F) {
	plainly := newCipher(f, 1)
	c := plainly.Accepting(migration(f))
	for _, v := range readVectors(f) {
		f.Add(unhex(f, v.Ciphertext))
		f.Add(unhex(f, v.Ciphertext)[:64])
	}
	for _, s := range []string{"", "a@example.org", "\x01", "\xff", `{"street":"x"}`, "1985-03-01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		text, raw, doc, number := loaded[string](stored), loaded[[]byte](stored), loaded[address](stored), loaded[int64](stored)
		for _, s := range []field.Sealable{&text, &raw, &doc, &number} {
			s.Attach(c, place)
			suspect := len(stored) > 0 && stored[0] == 1
			if _, ok := field.KeyVersion(stored); s.Fresh() && (ok || suspect && s != field.Sealable(&number)) {
				t.Errorf("%T: %x is taken for plaintext", s, stored)
			}
			if v := fmt.Sprint(s); v != field.Redacted {
				t.Errorf("%T shows %q", s, v)
			}
			s.Attach(nil, place)
			if b := s.Ciphertext(); len(b) > 0 && string(b) != string(stored) || len(b) > 0 && len(b) < field.Overhead {
				t.Errorf("%T: %x is kept of an erased person", s, b)
			}
		}
		if len(stored) > 0 {
			if v, err := text.Reveal(); v != "" || !errors.Is(err, field.ErrErased) {
				t.Errorf("erased: %q, %v", v, err)
			}
		}
	})
}
