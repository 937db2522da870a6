package field

import (
	"fmt"
	"maps"
	"slices"
)

// Fields are the encrypted fields of one row by the names of their columns, for
// code that has no repository: it seals them before a write and attaches them
// after a read. It is for one goroutine.
type Fields map[string]Sealable

// Seal seals each field for its column of the row; the Column of row is of no
// account. At the first error it stops, and names the column. See [Sealable].
func (f Fields) Seal(c *Cipher, row Scope) error {
	for _, column := range slices.Sorted(maps.Keys(f)) {
		row.Column = column
		if err := f[column].Seal(c, row); err != nil {
			return fmt.Errorf("field: seal column %s: %w", column, err)
		}
	}
	return nil
}

// Attach readies each field to be read as its column of the row; a nil c says
// that the key was destroyed. See [Sealable].
func (f Fields) Attach(c *Cipher, row Scope) {
	for column, s := range f {
		row.Column = column
		s.Attach(c, row)
	}
}
