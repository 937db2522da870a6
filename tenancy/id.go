package tenancy

import (
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ID names a tenant. It is a random UUID, so that it may stand in file names,
// logs and the leaves of the audit log without naming the customer. The zero ID
// is no tenant.
type ID uuid.UUID

// NewID draws a random tenant id (UUID version 4).
func NewID() ID { return ID(uuid.New()) }

// ParseID reads the canonical 36-character form. The nil UUID is refused.
func ParseID(s string) (ID, error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || u == uuid.Nil {
		return ID{}, errors.New("tenancy: parse id: want a UUID of 36 characters, not nil")
	}
	return ID(u), nil
}

// UUID gives the id as the UUID that it is.
func (id ID) UUID() uuid.UUID { return uuid.UUID(id) }

// IsZero reports whether id names no tenant.
func (id ID) IsZero() bool { return id == ID{} }

// String gives the canonical form in lower case.
func (id ID) String() string { return uuid.UUID(id).String() }

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (id *ID) UnmarshalText(b []byte) error {
	p, err := ParseID(string(b))
	if err != nil {
		return err
	}
	*id = p
	return nil
}

// Value implements [driver.Valuer].
func (id ID) Value() (driver.Value, error) { return id.String(), nil }

// Scan implements [database/sql.Scanner].
func (id *ID) Scan(src any) error {
	var u uuid.UUID
	if err := u.Scan(src); err != nil {
		return fmt.Errorf("tenancy: scan id: not a UUID (%T)", src)
	}
	*id = ID(u)
	return nil
}
