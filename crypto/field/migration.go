package field

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/art32/art32/internal/aead"
)

// MaxMigration is the longest time ahead for which a [Migration] can be declared.
const MaxMigration = 366 * 24 * time.Hour

var (
	// ErrMigration says that a migration was declared without a date, or with one
	// further ahead than [MaxMigration].
	ErrMigration = errors.New("field: a migration needs a date, at most a year ahead")
	// ErrMigrationOver says that a field holds plaintext which can no longer be
	// read, because the date of its [Migration] has passed. It is an [ErrOpen].
	ErrMigrationOver = fmt.Errorf("%w: it is plaintext, and the migration is over", ErrOpen)
)

// Migration allows a column to be read while some of its rows still hold
// plaintext, and counts each such read. It is made once for a column, given to
// [Cipher.Accepting], and is safe for concurrent use.
//
// The caller must know what it gives up until the date: whoever may write the
// database can put in a plaintext of his own, which no key protects and which
// reads like any other. Only the count shows it, so it must be watched, and must
// come to rest at the latest when the last row is sealed. Plaintext is also not
// erased with the key: who erases a person before that must clear the column.
//
// The plaintext lies in the column as bytes of the encoding in
// docs/formats/field.md: UTF-8 text, 8 bytes of an integer. In PostgreSQL those
// are convert_to(column, 'UTF8') and int8send(column), in SQLite
// CAST(column AS BLOB) of a text. A ciphertext is never taken for plaintext:
// texts must be UTF-8, and no text or bytes may begin with the byte 1, with which
// ciphertexts begin. A plaintext that does is not read at all; the caller must
// seal it by other means.
type Migration struct {
	until time.Time
	reads atomic.Int64
}

// NewMigration allows plaintext through the given day, in UTC. It returns
// [ErrMigration] for a day that the calendar does not have or that lies too far
// ahead. A day that has passed is none: the program starts, and each read of
// plaintext returns [ErrMigrationOver].
func NewMigration(until Date) (*Migration, error) {
	end := until.In(time.UTC).AddDate(0, 0, 1)
	if !until.Valid() || end.After(time.Now().Add(MaxMigration)) {
		return nil, ErrMigration
	}
	return &Migration{until: end}, nil
}

// Reads is how many times plaintext was read since m was made.
func (m *Migration) Reads() int64 { return m.reads.Load() }

// Until is when the migration ends.
func (m *Migration) Until() time.Time { return m.until }

// Format prints end and count.
func (m *Migration) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, fmt.Sprintf("until %s, %d reads", m.until.Format(time.RFC3339), m.Reads()))
}

// take counts one read, or refuses it.
func (m *Migration) take() error {
	switch {
	case m == nil:
		return ErrOpen
	case !time.Now().Before(m.until):
		return ErrMigrationOver
	}
	m.reads.Add(1)
	return nil
}

// parseLegacy reads what a column held before it was encrypted; false for what
// is, or may be, a ciphertext, and for what is no plaintext of T.
func parseLegacy[T any](stored []byte) (v T, ok bool) {
	k := kindOf[T]()
	if k.variable() && bytes.HasPrefix(stored, []byte{aead.FormatVersion}) {
		return v, false
	}
	if k.variable() && k != bytesKind && !utf8.Valid(stored) {
		return v, false
	}
	err := parsePlain(stored, &v)
	return v, err == nil
}
