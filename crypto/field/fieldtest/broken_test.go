package fieldtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/field/fieldtest"
)

// faults are what the ciphers below do wrong, one each.
var faults = []string{
	"forgets the tenant",
	"forgets the table",
	"forgets the column",
	"forgets the row",
	"joins the parts",
	"sorts the parts",
	"ignores case",
	"takes any scope",
	"opens in any scope",
	"ignores the key",
	"takes half of the key",
	"ignores the version",
	"takes a byte of the version",
	"stores clear text",
	"stores clear text beside",
	"is deterministic",
	"has one nonce",
	"shortens runs",
	"cuts long values",
	"refuses empty values",
	"tolerates a cut end",
	"tolerates a cut beginning",
	"tolerates more at the end",
	"tolerates more in front",
	"ignores a byte",
	"ignores the case of a bit",
	"crashes on short values",
	"takes short values for plaintext",
	"takes long values for plaintext",
	"names the cause",
	"has its own error",
	"gives what does not open",
	"leaves what does not open",
	"overwrites dst",
	"forgets dst",
	"clears the plaintext",
	"keeps the plaintext",
	"opens in place",
	"gives part of its input",
	"keeps the key",
	"clears the key",
	"shares a buffer",
}

// TestBroken shows that each broken cipher is caught, and that each case catches
// one.
func TestBroken(t *testing.T) {
	t.Parallel()
	cases := fieldtest.Cases()
	caught := make([]bool, len(cases))
	for _, fault := range faults {
		found := false
		for i, c := range cases {
			if c.Check(t.Context(), newBroken(fault)) != nil {
				caught[i], found = true, true
			}
		}
		if !found {
			t.Errorf("no case catches a cipher whose fault is %q", fault)
		}
	}
	for i, c := range cases {
		if !caught[i] {
			t.Errorf("case %q catches no broken cipher", c.Name)
		}
		if err := c.Check(t.Context(), newBroken("")); err != nil {
			t.Errorf("case %q refuses the sound cipher: %v", c.Name, err)
		}
		if err := c.Check(t.Context(), func(uint32, []byte) (fieldtest.Cipher, error) { return nil, errors.New("no key") }); err == nil {
			t.Errorf("case %q passes without a cipher", c.Name)
		}
		if c.Measure == "" || c.Explanation == "" {
			t.Errorf("case %q lacks its measure or explanation", c.Name)
		}
	}
}

// broken is a cipher with one fault over a sound one; it is sound with none.
type broken struct {
	fault   string
	version uint32
	key     []byte
	sound   *field.Cipher

	mu     sync.Mutex
	seen   map[string][]byte
	shared []byte
}

func newBroken(fault string) fieldtest.New {
	return func(version uint32, key []byte) (fieldtest.Cipher, error) {
		b := &broken{fault: fault, version: version, key: slices.Clone(key), seen: map[string][]byte{}}
		switch fault {
		case "ignores the key":
			b.key = make([]byte, field.KeySize)
		case "takes half of the key":
			copy(b.key[field.KeySize/2:], key)
		case "ignores the version":
			b.version = 1
		case "takes a byte of the version":
			b.version &= 0xff
		case "keeps the key":
			b.key = key
		case "clears the key":
			clear(key)
		}
		var err error
		b.sound, err = field.NewCipher(b.version, b.key)
		return b, err
	}
}

func (b *broken) cipher() *field.Cipher {
	if b.fault == "keeps the key" {
		c, err := field.NewCipher(b.version, b.key)
		if err == nil {
			return c
		}
	}
	return b.sound
}

// scope is s with the fault.
func (b *broken) scope(s field.Scope) field.Scope {
	if s.Tenant == "" || s.Table == "" || s.Column == "" || s.Row == "" {
		if b.fault != "takes any scope" {
			return s
		}
		return field.Scope{Tenant: s.Tenant + "-", Table: s.Table + "-", Column: s.Column + "-", Row: s.Row + "-"}
	}
	switch b.fault {
	case "forgets the tenant":
		s.Tenant = "-"
	case "forgets the table":
		s.Table = "-"
	case "forgets the column":
		s.Column = "-"
	case "forgets the row":
		s.Row = "-"
	case "joins the parts":
		s = field.Scope{Tenant: s.Tenant + s.Table + s.Column + s.Row, Table: "-", Column: "-", Row: "-"}
	case "sorts the parts":
		p := []string{s.Tenant, s.Table, s.Column, s.Row}
		slices.Sort(p)
		s = field.Scope{Tenant: p[0], Table: p[1], Column: p[2], Row: p[3]}
	case "ignores case":
		s.Tenant = strings.ToLower(s.Tenant)
	}
	return s
}

func (b *broken) Seal(dst, plain []byte, s field.Scope) ([]byte, error) {
	s = b.scope(s)
	switch {
	case b.fault == "refuses empty values" && len(plain) == 0:
		return nil, errors.New("empty")
	case b.fault == "cuts long values":
		plain = plain[:min(len(plain), 1<<16)]
	}
	sealed, err := b.cipher().Seal(nil, plain, s)
	if err != nil {
		return nil, err
	}
	sealed = b.spoil(sealed, plain, s)
	if b.fault == "clears the plaintext" {
		clear(plain)
	}
	switch b.fault {
	case "overwrites dst":
		return append(dst[:0], sealed...), nil
	case "forgets dst":
		return sealed, nil
	}
	return append(dst, sealed...), nil
}

// spoil changes the form of a ciphertext.
func (b *broken) spoil(sealed, plain []byte, s field.Scope) []byte {
	switch b.fault {
	case "stores clear text", "keeps the plaintext":
		b.mu.Lock()
		defer b.mu.Unlock()
		kept := plain
		if b.fault == "stores clear text" {
			kept, sealed = slices.Clone(plain), slices.Concat(sealed, plain)
		}
		b.seen[string(sealed)] = kept
	case "stores clear text beside":
		return slices.Concat(plain[:min(len(plain), 8)], []byte{byte(min(len(plain), 8))}, sealed)
	case "is deterministic", "has one nonce":
		b.mu.Lock()
		defer b.mu.Unlock()
		at := fmt.Sprint(string(plain), s)
		if old := b.seen[at]; old != nil && b.fault == "is deterministic" {
			return old
		}
		b.seen[at] = sealed
		if b.fault == "has one nonce" {
			return slices.Concat(bytes.Repeat([]byte{7}, 2*len(sealed)), sealed)
		}
	case "shortens runs":
		if len(plain) > 100 && plain[0] == plain[1] {
			return append([]byte{0}, sealed...)
		}
		return append([]byte{1, 0}, sealed...)
	case "tolerates a cut end", "ignores a byte":
		return append(sealed, 0)
	case "tolerates a cut beginning":
		return append([]byte{0}, sealed...)
	case "tolerates more at the end":
		return append([]byte{byte(len(sealed)), byte(len(sealed) >> 8), byte(len(sealed) >> 16)}, sealed...)
	case "ignores the case of a bit":
		return append(sealed, 'a')
	}
	return sealed
}

// unspoil is the reverse of spoil; nil for what is refused.
func (b *broken) unspoil(sealed []byte) []byte {
	n := len(sealed)
	switch {
	case b.fault == "stores clear text beside" && n > 0:
		for i := range min(9, n) {
			if int(sealed[i]) == i {
				return sealed[i+1:]
			}
		}
	case b.fault == "has one nonce":
		if n%3 != 0 || !bytes.Equal(sealed[:n/3*2], bytes.Repeat([]byte{7}, n/3*2)) {
			return nil
		}
		return sealed[n/3*2:]
	case b.fault == "shortens runs" && n > 0 && sealed[0] == 0:
		return sealed[1:]
	case b.fault == "shortens runs" && n > 1 && sealed[0] == 1 && sealed[1] == 0:
		return sealed[2:]
	case b.fault == "ignores a byte" && n > 0:
		return sealed[:n-1]
	case b.fault == "tolerates a cut end" && n > 0 && sealed[n-1] == 0:
		if _, err := b.sound.Open(nil, sealed, field.Scope{}); err != nil {
			return sealed[:n-1]
		}
	case b.fault == "tolerates a cut beginning" && n > 0 && sealed[0] == 0:
		return sealed[1:]
	case b.fault == "tolerates more at the end" && n > 3:
		if length := int(sealed[0]) | int(sealed[1])<<8 | int(sealed[2])<<16; length <= n-3 {
			return sealed[3 : 3+length]
		}
		return nil
	case b.fault == "tolerates more in front" && n > 107:
		if i := bytes.LastIndex(sealed, []byte{1, 0, 0, 0, 1}); i > 0 {
			return sealed[i:]
		}
	case b.fault == "ignores the case of a bit" && n > 0 && sealed[n-1]|0x20 == 'a':
		return sealed[:n-1]
	case b.fault == "ignores the case of a bit":
		return nil
	}
	return sealed
}

var errOwn = errors.New("does not open")

func (b *broken) Open(dst, given []byte, s field.Scope) ([]byte, error) {
	if b.fault == "crashes on short values" {
		_ = given[64]
	}
	if b.fault == "takes short values for plaintext" && len(given) < 65 || b.fault == "takes long values for plaintext" && len(given) > 65 && given[0] > 1 {
		return append(dst, given...), nil
	}
	wanted := b.scope(s)
	if b.fault == "opens in any scope" && s.Row == "" {
		wanted.Row = "42"
	}
	plain, err := b.cipher().Open(nil, b.unspoil(given), wanted)
	b.mu.Lock()
	if kept, ok := b.seen[string(given)]; ok && (b.fault == "stores clear text" || b.fault == "keeps the plaintext") {
		plain, err = kept, nil
	}
	b.mu.Unlock()
	if err != nil {
		return b.failure(dst, given, s)
	}
	return b.result(dst, given, plain)
}

func (b *broken) failure(dst, given []byte, s field.Scope) ([]byte, error) {
	switch b.fault {
	case "names the cause":
		if len(given) < 65 {
			return nil, fmt.Errorf("%w: too short", field.ErrOpen)
		}
	case "has its own error":
		return nil, errOwn
	case "gives what does not open", "leaves what does not open":
		s.Row = "42"
		plain, err := b.sound.Open(nil, given, s)
		if err == nil && b.fault == "gives what does not open" {
			return append(dst, plain...), field.ErrOpen
		}
		_ = append(dst, plain...)
	}
	return nil, field.ErrOpen
}

func (b *broken) result(dst, given, plain []byte) ([]byte, error) {
	switch b.fault {
	case "opens in place":
		copy(given, plain)
	case "gives part of its input":
		if len(dst) == 0 && len(plain) <= len(given) {
			copy(given, plain)
			return given[:len(plain)], nil
		}
	case "shares a buffer":
		b.mu.Lock()
		b.shared = plain
		b.mu.Unlock()
		for range 20 {
			runtime.Gosched() // lets another in
		}
		b.mu.Lock()
		plain = b.shared
		b.mu.Unlock()
	}
	return append(dst, plain...), nil
}
