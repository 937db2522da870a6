package fieldtest_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/field/fieldtest"
)

// TestCipher holds [field.Cipher] to its own promises, as one that has older
// versions and one that accepts plaintext too.
func TestCipher(t *testing.T) {
	t.Parallel()
	plain := func(version uint32, key []byte) (*field.Cipher, error) { return field.NewCipher(version, key) }
	for name, n := range map[string]fieldtest.New{
		"cipher": func(version uint32, key []byte) (fieldtest.Cipher, error) { return plain(version, key) },
		"with older": func(version uint32, key []byte) (fieldtest.Cipher, error) {
			c, err := plain(version, key)
			older, olderErr := plain(version+3, bytes.Repeat([]byte{9}, field.KeySize))
			if err := errors.Join(err, olderErr); err != nil {
				return nil, err
			}
			return c.With(older), nil
		},
		"accepting plaintext": func(version uint32, key []byte) (fieldtest.Cipher, error) {
			c, err := plain(version, key)
			m, migrationErr := field.NewMigration(field.DateOf(time.Now()))
			if err := errors.Join(err, migrationErr); err != nil {
				return nil, err
			}
			return c.Accepting(m), nil // fields only: a cipher opens no plaintext
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fieldtest.Run(t, n)
		})
	}
}

// failed notes what a helper says.
type failed struct {
	testing.TB

	said int
}

func (f *failed) Helper()      {}
func (f *failed) Error(...any) { f.said++ }

func TestWidths(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for _, c := range []struct {
		name string
		rows int
		bits []int
		safe bool
	}{
		{"as computed", 100_000, []int{15}, true},
		{"one bit more", 100_000, []int{16}, false},
		{"narrower", 100_000, []int{9}, true},
		{"too narrow", 100_000, []int{8}, false},
		{"two that share", 100_000, []int{8, 7}, true},
		{"two as if alone", 100_000, []int{15, 15}, false},
		{"three", 1 << 20, []int{6, 6, 7}, true},
		{"three and a bit", 1 << 20, []int{6, 7, 7}, false},
		{"full width", 1 << 30, []int{256}, false},
		{"fewest rows", 16, []int{3}, true},
		{"fewer", 15, []int{1}, false},
		{"none", 100_000, nil, false},
		{"no bits", 100_000, []int{15, 0}, false},
		{"negative", 100_000, []int{16, -1}, false},
	} {
		if err := fieldtest.CheckWidths(c.rows, c.bits...); (err == nil) != c.safe || err != nil && !errors.Is(err, fieldtest.ErrWidth) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for rows := 16; rows < 1<<40; rows = rows*3/2 + 1 {
		bits, err := field.Width(rows)
		if err := errors.Join(err, fieldtest.CheckWidths(rows, bits)); err != nil {
			t.Errorf("%d rows: %v", rows, err)
		}
	}
}

func TestCheckIndexes(t *testing.T) {
	t.Parallel()
	key := make([]byte, field.KeySize)
	email, err := field.NewIndex(key, "customers.email", field.Email, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	prefix, err := field.NewIndex(key, "customers.email_prefix", "prefix:3", 1000)
	if err != nil {
		t.Fatal(err)
	}
	fieldtest.CheckIndexes(t, 100_000, email)
	f := &failed{TB: t}
	fieldtest.CheckIndexes(f, 100_000, email, prefix)
	if f.said != 1 {
		t.Error("two indexes over one plaintext pass for one")
	}
}
