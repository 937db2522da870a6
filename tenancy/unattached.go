package tenancy

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
)

// Cell says where an encrypted field lies, and whose it is.
type Cell struct {
	Table   Table     // as it stands in the schema
	Column  string    // as declared
	Row     uuid.UUID // the row's key
	Subject uuid.UUID // the row's data subject; nil where the table has none
}

// Attach readies a field that SQL of the caller has read, so that its Reveal
// works: pass a pointer to the [field.Encrypted]. A ciphertext opens in its own
// cell only; a wrong cell shows at Reveal as [field.ErrOpen]. The field of an
// erased subject answers [field.ErrErased]. Where the table says reads, each call is
// recorded as the reading of a row, with the next statement of the transaction or its
// end, so that it can be called while rows are open.
func (tx *Tx) Attach(ctx context.Context, c Cell, f field.Sealable) error {
	if err := tx.enter(); err != nil {
		return err
	}
	defer tx.leave()
	if required("table", c.Table) != nil || !tx.db.schema.holds(c.Table.describe()) {
		return errors.New("tenancy: attach: the table is not in the schema of this database")
	}
	t := c.Table.describe()
	for i := range t.cols {
		if col := &t.cols[i]; col.name == c.Column && col.sealed() {
			cipher, err := tx.cipherOf(ctx, t, c.Subject)
			if err != nil {
				return fmt.Errorf("tenancy: attach %s.%s: %w", t.name, c.Column, err)
			}
			if err := tx.tellCell(ctx, t, c, f); err != nil {
				return err
			}
			f.Attach(col.reader(cipher), t.scope(col, tx.Tenant().String(), c.Row.String()))
			return nil
		}
	}
	return fmt.Errorf("tenancy: attach: table %s declares no encrypted column %q", t.name, c.Column)
}

// tellCell records that a field of a row was read by the caller's SQL.
func (tx *Tx) tellCell(ctx context.Context, t *table, c Cell, f field.Sealable) error {
	if !t.reads {
		return nil
	}
	r := Read{Action: t.name + ".read", Object: c.Row, Rows: 1}
	if !f.IsNull() {
		r.Fields = 1
	}
	if t.subject >= 0 && c.Subject != uuid.Nil {
		r.Subjects = []uuid.UUID{c.Subject}
	}
	return tx.noteRead(ctx, r)
}

// cipherOf is the key under which a row was sealed; nil if it was destroyed.
func (tx *Tx) cipherOf(ctx context.Context, t *table, subject uuid.UUID) (*field.Cipher, error) {
	if t.subject < 0 {
		return tx.db.keys.TenantCipher(ctx, tx.scope.Tenant)
	}
	cipher, err := tx.db.keys.Cipher(ctx, tx.scope.Tenant, subject)
	if errors.Is(err, keyring.ErrErased) {
		return nil, nil //nolint:nilnil // erased
	}
	return cipher, err
}
