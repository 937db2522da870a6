package aead_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/art32/art32/internal/aead"
)

// TestStream covers what crypto/field, whose tests cut and exchange, cannot reach.
func TestStream(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 7, key(1))
	head, s, err := a.NewStream([]byte("before"), scope...)
	if err != nil || len(head) != 6+aead.StreamHeaderSize || !bytes.HasPrefix(head, []byte("before")) {
		t.Fatalf("header %x, %v", head, err)
	}
	head = head[6:]
	if v, ok := aead.StreamKeyVersion(head); v != 7 || !ok {
		t.Errorf("key version %d, %t", v, ok)
	}
	chunk := s.Seal(nil, []byte("plain"), 3, false)
	back, err := a.OpenStream(head, scope...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := back.Open([]byte("x"), chunk, 3, false); err != nil || string(got) != "xplain" {
		t.Errorf("opened to %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"number":  func() ([]byte, error) { return back.Open(nil, chunk, 4, false) },
		"end":     func() ([]byte, error) { return back.Open(nil, chunk, 3, true) },
		"cut":     func() ([]byte, error) { return back.Open(nil, chunk[:27], 3, false) },
		"nothing": func() ([]byte, error) { return back.Open(nil, nil, 3, false) },
	} {
		if got, err := open(); !errors.Is(err, aead.ErrOpen) || got != nil {
			t.Errorf("other %s: %q, %v", name, got, err)
		}
	}
	for i := range head {
		changed := slices.Clone(head)
		changed[i] ^= 1
		if s, err := a.OpenStream(changed, scope...); !errors.Is(err, aead.ErrOpen) || s != nil {
			t.Errorf("byte %d of the header: %v", i, err)
		}
	}
	for n := range len(head) {
		if _, err := a.OpenStream(head[:n], scope...); !errors.Is(err, aead.ErrOpen) {
			t.Errorf("header of %d bytes: %v", n, err)
		}
	}
	if _, err := a.OpenStream(head, strings.Repeat("x", 1<<17)); !errors.Is(err, aead.ErrOpen) {
		t.Errorf("huge scope: %v", err)
	}
	if _, _, err := a.NewStream(nil, strings.Repeat("x", 1<<17)); !errors.Is(err, aead.ErrScope) {
		t.Errorf("huge scope: %v", err)
	}
}

// TestStreamsDiffer: each has a salt, and with it a key, of its own.
func TestStreamsDiffer(t *testing.T) {
	t.Parallel()
	a := newAEAD(t, aead.LabelField, 1, key(1))
	one, s, err := a.NewStream(nil, scope...)
	if err != nil {
		t.Fatal(err)
	}
	two, other, err := a.NewStream(nil, scope...)
	if err != nil || bytes.Equal(one[5:37], two[5:37]) || bytes.Equal(one[37:], two[37:]) {
		t.Fatalf("%x and %x, %v", one, two, err)
	}
	if _, err := other.Open(nil, s.Seal(nil, nil, 0, true), 0, true); !errors.Is(err, aead.ErrOpen) {
		t.Errorf("a chunk opens in another stream: %v", err)
	}
}
