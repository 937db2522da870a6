package fieldtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/art32/art32/crypto/field"
)

// place is where the cases seal.
func place() field.Scope {
	return field.Scope{Tenant: "acme", Table: "customers", Column: "email", Row: "42"}
}

func secret() []byte { return []byte("juergen.mueller@example.org, Hauptstrasse 1") }

// trial is one check.
type trial struct {
	make  New
	c     Cipher // of version 1
	found []error
}

func check(f func(*trial)) func(context.Context, New) error {
	return func(_ context.Context, n New) (err error) {
		t := &trial{make: n}
		defer func() {
			if r := recover(); r != nil {
				err = errors.Join(append(t.found, fmt.Errorf("panic: %v", r))...)
			}
		}()
		if t.c, err = n(1, keyOf(1)); err != nil {
			return fmt.Errorf("new cipher: %w", err)
		}
		f(t)
		return errors.Join(t.found...)
	}
}

// moved seals at one place and opens at the place that change makes of it.
func moved(change func(*field.Scope)) func(context.Context, New) error {
	return check(func(t *trial) {
		s := place()
		change(&s)
		t.refuses("at another place", t.c, t.seal(secret(), place()), s)
	})
}

// keyOf is a key of which no two bytes are equal.
func keyOf(b byte) []byte {
	key := make([]byte, field.KeySize)
	for i := range key {
		key[i] = b ^ byte(7*i)
	}
	return key
}

func (t *trial) errorf(format string, args ...any) {
	t.found = append(t.found, fmt.Errorf(format, args...))
}

func (t *trial) seal(plain []byte, s field.Scope) []byte {
	out, err := t.c.Seal(nil, plain, s)
	if err != nil {
		t.errorf("seal: %w", err)
	}
	return out
}

// opens wants what was sealed back.
func (t *trial) opens(what string, sealed, plain []byte) {
	got, err := t.c.Open(nil, sealed, place())
	if err != nil || !bytes.Equal(got, plain) {
		t.errorf("%s: opens to %d bytes that differ, or fails: %w", what, len(got), orNil(err))
	}
}

// refuses wants the one error.
func (t *trial) refuses(what string, c Cipher, sealed []byte, s field.Scope) {
	got, err := c.Open(nil, sealed, s)
	if !errors.Is(err, field.ErrOpen) {
		t.errorf("%s: got error %w, want field.ErrOpen", what, orNil(err))
	}
	if got != nil {
		t.errorf("%s: %d bytes came out", what, len(got))
	}
}

func orNil(err error) error {
	if err == nil {
		return errors.New("nil")
	}
	return err
}

func (t *trial) roundTrip() {
	for _, n := range []int{0, 1, 15, 16, 17, 255, 1 << 16, 1<<16 + 1, 1 << 20} {
		plain := bytes.Repeat([]byte{0, 1, 0xff}, n/3+1)[:n]
		t.opens(fmt.Sprintf("%d bytes", n), t.seal(plain, place()), plain)
	}
}

func (t *trial) nothingInClear() {
	if sealed := t.seal(secret(), place()); bytes.Contains(sealed, secret()[:8]) {
		t.errorf("the ciphertext holds the content")
	}
}

func (t *trial) random() {
	const rounds = 100
	first := t.seal(secret(), place())
	seen := map[string]bool{}
	for range rounds {
		sealed := t.seal(secret(), place())
		seen[string(sealed)] = true
		if n := len(commonPrefix(first, sealed)); n > len(first)/2 {
			t.errorf("two ciphertexts of the same content agree in %d bytes", n)
			return
		}
	}
	if len(seen) != rounds {
		t.errorf("%d ciphertexts of the same content are %d values", rounds, len(seen))
	}
}

func commonPrefix(a, b []byte) []byte {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[:i]
		}
	}
	return a[:min(len(a), len(b))]
}

func (t *trial) length() {
	want := len(t.seal(bytes.Repeat([]byte("a"), 500), place()))
	for _, plain := range [][]byte{bytes.Repeat([]byte("ab"), 250), slices.Repeat(keyOf(3), 16)[:500], make([]byte, 500)} {
		if got := len(t.seal(plain, place())); got != want {
			t.errorf("500 bytes become %d or %d", want, got)
		}
	}
}

func (t *trial) parts() {
	sealed := t.seal(secret(), field.Scope{Tenant: "ab", Table: "cd", Column: "ef", Row: "gh"})
	for _, s := range []field.Scope{
		{Tenant: "a", Table: "bcd", Column: "ef", Row: "gh"},
		{Tenant: "ab", Table: "c", Column: "def", Row: "gh"},
		{Tenant: "ab", Table: "cd", Column: "e", Row: "fgh"},
		{Tenant: "gh", Table: "cd", Column: "ef", Row: "ab"},
		{Tenant: "ab", Table: "ef", Column: "cd", Row: "gh"},
		{Tenant: "AB", Table: "cd", Column: "ef", Row: "gh"},
		{Tenant: "ab", Table: "cd", Column: "ef", Row: "gh "},
		{Tenant: "ab", Table: "cd", Column: "ef", Row: "gh\x00"},
	} {
		t.refuses(fmt.Sprintf("%q", s), t.c, sealed, s)
	}
}

func (t *trial) scopeComplete() {
	sealed := t.seal(secret(), place())
	for name, remove := range map[string]func(*field.Scope){
		"tenant": func(s *field.Scope) { s.Tenant = "" }, "table": func(s *field.Scope) { s.Table = "" },
		"column": func(s *field.Scope) { s.Column = "" }, "row": func(s *field.Scope) { s.Row = "" },
	} {
		s := place()
		remove(&s)
		if out, err := t.c.Seal(nil, secret(), s); !errors.Is(err, field.ErrScope) || out != nil {
			t.errorf("seal without a %s: got error %w, want field.ErrScope", name, orNil(err))
		}
		t.refuses("open without a "+name, t.c, sealed, s)
	}
}

func (t *trial) key() {
	sealed := t.seal(secret(), place())
	for i := range field.KeySize {
		key := keyOf(1)
		key[i] ^= 0x80
		c, err := t.make(1, key)
		if err != nil {
			t.errorf("new cipher: %w", err)
			continue
		}
		t.refuses(fmt.Sprintf("another byte %d of the key", i), c, sealed, place())
	}
}

func (t *trial) version() {
	sealed := t.seal(secret(), place())
	for _, v := range []uint32{0, 2, 1 + 1<<8, 1 + 1<<16, 1 + 1<<24, 1<<32 - 1} {
		c, err := t.make(v, keyOf(1))
		if err != nil {
			t.errorf("new cipher: %w", err)
			continue
		}
		t.refuses(fmt.Sprintf("version %d", v), c, sealed, place())
	}
}

func (t *trial) concurrency() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				plain := bytes.Repeat([]byte{byte(i), byte(j)}, 20*i)
				sealed, err := t.c.Seal(nil, plain, place())
				var got []byte
				if err == nil {
					got, err = t.c.Open(nil, sealed, place())
				}
				if err != nil || !bytes.Equal(got, plain) {
					mu.Lock()
					t.errorf("with others at work another content comes back, or none: %w", orNil(err))
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
}
