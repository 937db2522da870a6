package tenancy

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
)

// rowChange is one row that was read, and what is to be written of it.
type rowChange struct {
	key     keyTexts
	row     uuid.UUID
	subject uuid.UUID
	cells   []cellChange
}

// cellChange is a cell and its index value, as they were read and as they are to
// become.
type cellChange struct {
	verdict

	old, fresh           []byte
	write                bool
	oldIndex, freshIndex []byte
	writeIndex           bool
}

// changes reports whether anything is to be written.
func (r *rowChange) changes() bool {
	for i := range r.cells {
		if r.cells[i].write || r.cells[i].writeIndex {
			return true
		}
	}
	return false
}

// compared is the cell that must still stand where anything of it is written.
func (c *cellChange) compared() []byte {
	if c.write || c.writeIndex {
		return c.old
	}
	return nil
}

// chunks works on rows, as many at once as the bounds allow. It returns those
// that were overtaken.
func (t *tablePass) chunks(ctx context.Context, todo []rowSize) (again []rowSize, err error) {
	for len(todo) > 0 {
		n, size := 0, int64(0)
		for n < min(len(todo), chunkRows) && (n == 0 || size+todo[n].size <= chunkBytes) {
			size += todo[n].size
			n++
		}
		lost, err := t.chunk(ctx, todo[:n])
		if err != nil {
			return nil, err
		}
		again, todo = append(again, lost...), todo[n:]
	}
	return again, nil
}

// rowSize is a row that needs work, and the length of its cells.
type rowSize struct {
	key  keyTexts
	size int64
}

// chunk reads rows, seals them anew and writes them.
func (t *tablePass) chunk(ctx context.Context, todo []rowSize) (lost []rowSize, err error) {
	rows, err := t.fetch(ctx, todo)
	if err != nil {
		return nil, err
	}
	subjects := make(map[uuid.UUID]bool, len(rows))
	for i := range rows {
		if rows[i].subject != uuid.Nil {
			subjects[rows[i].subject] = true
		}
	}
	ciphers, err := t.ciphers(ctx, subjects)
	if err != nil {
		return nil, err
	}
	var write []*rowChange
	for i := range rows {
		r := &rows[i]
		if err := t.judge(r, &ciphers); err != nil {
			return nil, err
		}
		if t.p.write && r.changes() {
			write = append(write, r)
		} else {
			t.settle(r, false, false)
		}
	}
	return t.writeAll(ctx, write)
}

// fetch reads rows whole.
func (t *tablePass) fetch(ctx context.Context, todo []rowSize) ([]rowChange, error) {
	keys := make([]keyTexts, len(todo))
	for i := range todo {
		keys[i] = todo[i].key
	}
	rows := make([]rowChange, 0, len(todo))
	list, err := t.t.keyList(t.texts.dialect, keys)
	if err != nil {
		return nil, err
	}
	s := engine.Stmt{SQL: t.texts.fetch, Args: append([]any{t.p.scope.Tenant}, list...), Once: true}
	err = t.p.query(ctx, s, func(r engine.Row) error {
		c := rowChange{cells: make([]cellChange, len(t.cols))}
		var subject string
		var dest []any
		c.key, dest = t.t.scanKey()
		dest = append(dest, &subject)
		for i := range c.cells {
			dest = append(dest, &c.cells[i].old, &c.cells[i].oldIndex)
		}
		err := r.Scan(dest...)
		c.row, c.subject = t.t.idOf(c.key), parseOrNil(subject)
		rows = append(rows, c)
		return err
	})
	return rows, err
}

// judge says how the cells of a row stand, and prepares what is to become of
// them. Its error is one that ends the run, such as that of a key that has sealed
// all that it may.
func (t *tablePass) judge(r *rowChange, keys *ciphers) error {
	cipher, known := keys.get(r.subject)
	for i := range r.cells {
		plain := t.open(r, i, cipher, known)
		err := t.renew(r, i, cipher, plain)
		clear(plain)
		if err != nil {
			return err
		}
	}
	return nil
}

// open says how a cell stands, and opens it if anything is to be done with its
// plaintext.
func (t *tablePass) open(r *rowChange, i int, cipher *field.Cipher, known bool) []byte {
	c := &r.cells[i]
	version, ok := field.KeyVersion(c.old)
	switch {
	case c.old == nil:
		return nil
	case known && cipher == nil:
		c.cell = erased
		return nil
	case !known || !ok:
		c.cell = broken
		return nil
	}
	c.cell, c.version, c.write = current, version, false
	if t.isOlder(r.subject, version, cipher) {
		c.cell, c.write = older, t.p.write && t.canRenew(r.subject, version, cipher)
	}
	if !c.write && t.cols[i].sums == nil {
		return nil
	}
	plain, err := cipher.Open(nil, c.old, t.scope(r, i))
	if err != nil {
		c.cell, c.write = broken, false
	}
	return plain
}

// isOlder reports whether a version opens only.
func (t *tablePass) isOlder(subject uuid.UUID, version uint32, cipher *field.Cipher) bool {
	return version < cipher.Version() || t.p.retired.has(subject, version)
}

// canRenew reports whether this process seals with a newer version. It may not
// have heard of it yet, nor of one that is newer still.
func (t *tablePass) canRenew(subject uuid.UUID, version uint32, cipher *field.Cipher) bool {
	return version < cipher.Version() && !t.p.retired.has(subject, cipher.Version())
}

func (t *tablePass) scope(r *rowChange, i int) field.Scope {
	return t.t.scope(t.cols[i].c, ID(t.p.scope.Tenant).String(), r.row.String())
}

// renew seals plain anew where the cell is older, and computes its index value.
func (t *tablePass) renew(r *rowChange, i int, cipher *field.Cipher, plain []byte) (err error) {
	c, sums := &r.cells[i], t.cols[i].sums
	if c.write {
		if c.fresh, err = cipher.Seal(nil, plain, t.scope(r, i)); err != nil {
			return err
		}
	}
	switch {
	case sums == nil:
		return nil
	case c.cell == erased || c.cell == broken:
		if c.oldIndex != nil {
			c.index = broken
		}
		return nil
	case c.cell != none:
		c.freshIndex = sums[0].Sum(string(plain))
	}
	c.index, c.indexVersion = t.versionOf(c, sums, plain)
	c.writeIndex = c.index == older || c.index == wrong
	return nil
}

// versionOf tells which version of the index key gave an index value.
func (t *tablePass) versionOf(c *cellChange, sums []*field.Index, plain []byte) (state, uint32) {
	switch {
	case c.oldIndex == nil && c.freshIndex == nil:
		return none, 0
	case c.oldIndex == nil || c.freshIndex == nil:
		return wrong, 0
	case bytes.Equal(c.oldIndex, c.freshIndex):
		return current, 0
	}
	for n, x := range sums[1:] {
		if bytes.Equal(c.oldIndex, x.Sum(string(plain))) {
			return older, t.p.indexes[n+1].Version
		}
	}
	return wrong, 0
}

// settle counts a row of which what was to be written is written, as far as
// cells and indexes say.
func (t *tablePass) settle(r *rowChange, cells, indexes bool) {
	for i := range r.cells {
		c := &r.cells[i]
		v := c.verdict
		if cells && c.write {
			v.cell = current
			t.p.report.Resealed++
		}
		if indexes && c.writeIndex {
			v.index = current
			if c.freshIndex == nil {
				v.index = none
			}
			t.p.report.Reindexed++
		}
		t.add(i, r.row, v)
	}
}
