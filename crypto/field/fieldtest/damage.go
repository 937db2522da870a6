package fieldtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/art32/art32/crypto/field"
)

func (t *trial) truncated() {
	sealed := t.seal(secret(), place())
	for n := range sealed {
		t.refuses(fmt.Sprintf("cut to %d of %d bytes", n, len(sealed)), t.c, sealed[:n:n], place())
		t.refuses(fmt.Sprintf("the first %d bytes gone", len(sealed)-n), t.c, sealed[len(sealed)-n:], place())
	}
}

func (t *trial) extended() {
	sealed := t.seal(secret(), place())
	for name, more := range map[string][]byte{
		"a zero": {0}, "a byte": {0xff}, "a block": make([]byte, 16), "itself": sealed, "its end": sealed[len(sealed)-1:],
	} {
		t.refuses("extended by "+name, t.c, slices.Concat(sealed, more), place())
		t.refuses("preceded by "+name, t.c, slices.Concat(more, sealed), place())
	}
}

func (t *trial) flipped() {
	for _, plain := range [][]byte{{}, secret()} {
		sealed := t.seal(plain, place())
		for i := range 8 * len(sealed) {
			c := slices.Clone(sealed)
			c[i/8] ^= 1 << (i % 8)
			t.refuses(fmt.Sprintf("bit %d flipped", i), t.c, c, place())
		}
	}
}

func (t *trial) garbage() {
	n := len(t.seal(nil, place()))
	for name, b := range map[string][]byte{
		"nil": nil, "empty": {}, "plaintext": secret(), "long plaintext": bytes.Repeat(secret(), 10),
		"zeroes": make([]byte, n), "more zeroes": make([]byte, 1000), "ones": bytes.Repeat([]byte{1}, n), "key": keyOf(1),
	} {
		t.refuses(name, t.c, b, place())
	}
	for i := range n + 1 {
		t.refuses(fmt.Sprintf("%d bytes", i), t.c, bytes.Repeat([]byte{1}, i), place())
	}
}

// oneError compares the texts of what can go wrong.
func (t *trial) oneError() {
	sealed := t.seal(secret(), place())
	other, err := t.make(2, keyOf(2))
	if err != nil {
		t.errorf("new cipher: %w", err)
		return
	}
	row, tag, head := place(), slices.Clone(sealed), slices.Clone(sealed)
	row.Row = "43"
	tag[len(tag)-1] ^= 1
	head[0] ^= 1
	for name, err := range map[string]error{
		"nothing": second(t.c.Open(nil, nil, place())), "cut": second(t.c.Open(nil, sealed[:len(sealed)-1], place())),
		"other key": second(other.Open(nil, sealed, place())), "other row": second(t.c.Open(nil, sealed, row)),
		"no scope":  second(t.c.Open(nil, sealed, field.Scope{})),
		"last byte": second(t.c.Open(nil, tag, place())), "first byte": second(t.c.Open(nil, head, place())),
	} {
		if !errors.Is(err, field.ErrOpen) || err.Error() != field.ErrOpen.Error() {
			t.errorf("%s: the error is %q, want no more than %q", name, orNil(err), field.ErrOpen)
		}
	}
}

func second(_ []byte, err error) error { return err }

// nothingOnFailure looks at the result and behind the end of the buffer.
func (t *trial) nothingOnFailure() {
	sealed := t.seal(secret(), place())
	changed := slices.Clone(sealed)
	changed[len(changed)-1] ^= 1
	row := place()
	row.Row = "43"
	for name, open := range map[string]func(dst []byte) ([]byte, error){
		"a changed byte": func(dst []byte) ([]byte, error) { return t.c.Open(dst, changed, place()) },
		"another row":    func(dst []byte) ([]byte, error) { return t.c.Open(dst, sealed, row) },
	} {
		dst := make([]byte, 0, 1000)
		if got, err := open(dst); got != nil || err == nil {
			t.errorf("%s: %d bytes came out", name, len(got))
		}
		if bytes.Contains(dst[:1000], secret()[:8]) {
			t.errorf("%s: the content stands in the caller's buffer", name)
		}
	}
}

func (t *trial) dst() {
	sealed := t.seal(secret(), place())
	for _, room := range []int{0, 1, 20, 1000} {
		dst := append(make([]byte, 0, 6+room), "before"...)
		out, err := t.c.Seal(dst, secret(), place())
		if err != nil || !bytes.HasPrefix(out, []byte("before")) || string(dst) != "before" {
			t.errorf("seal with room for %d bytes: what was there is gone: %w", room, orNil(err))
			continue
		}
		t.opens("sealed behind something", out[6:], secret())
		dst = append(make([]byte, 0, 6+room), "before"...)
		got, err := t.c.Open(dst, sealed, place())
		if err != nil || string(got) != "before"+string(secret()) || string(dst) != "before" {
			t.errorf("open with room for %d bytes: want what was there, then the content: %w", room, orNil(err))
		}
	}
}

func (t *trial) arguments() {
	key, plain := keyOf(1), secret()
	c, err := t.make(1, key)
	if err != nil {
		t.errorf("new cipher: %w", err)
		return
	}
	if !bytes.Equal(key, keyOf(1)) {
		t.errorf("the key was changed")
	}
	clear(key) // as its owner should
	sealed, err := c.Seal(nil, plain, place())
	if err != nil || !bytes.Equal(plain, secret()) {
		t.errorf("seal changed the content: %w", orNil(err))
	}
	clear(plain)
	before := slices.Clone(sealed)
	got, err := c.Open(nil, sealed, place())
	if err != nil || !bytes.Equal(sealed, before) {
		t.errorf("open changed the ciphertext: %w", orNil(err))
	}
	clear(sealed) // the driver uses it again
	if !bytes.Equal(got, secret()) {
		t.errorf("what was opened changed with the ciphertext")
	}
	t.opens("sealed with a key that was cleared", before, secret())
}
