package tenancy

import (
	"crypto/ed25519"

	"github.com/art32/art32/crypto/field"
)

// OnStep calls fn at each step of an erasure.
func (db *DB) OnStep(fn func(step string)) { db.step = fn }

// ClearPage sets how many rows of a tenant one transaction clears.
func (db *DB) ClearPage(rows int) { db.pageRows = rows }

// Sign signs a record as issuing it does.
func (r *ErasureRecord) Sign(key ed25519.PrivateKey) (*SignedErasureRecord, error) {
	return r.sign(key)
}

// SetMigration replaces the date of a tag, which stands in the source.
func SetMigration[V any](c Column[V], m *field.Migration) { c.c.migration = m }
