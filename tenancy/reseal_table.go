package tenancy

import (
	"context"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
)

// tablePass is the walk through one table.
type tablePass struct {
	p     *pass
	t     *table
	cols  []sealedColumn
	texts resealTexts
	out   *TableKeys // its place in the report
}

// sealedColumn is an encrypted column, with its index under each version of the
// index key where it is computed.
type sealedColumn struct {
	c    *column
	sums []*field.Index // as the keys in pass.indexes: the one that is written first
}

// head is what is read of a row to tell what there is to do: nothing of what it
// says.
type head struct {
	key     keyTexts
	row     uuid.UUID
	subject uuid.UUID
	cells   []cellHead
}

// cellHead is the length of a cell and its first bytes.
type cellHead struct {
	size    int64 // -1: NULL
	first   []byte
	indexed bool // the index value is not NULL
}

// headSize is how many bytes name format and version.
const headSize = 5

// version is that of the key which the cell names; false if it is no ciphertext.
func (c *cellHead) version() (uint32, bool) {
	if len(c.first) < headSize || c.size < field.Overhead {
		return 0, false
	}
	var b [field.Overhead]byte
	copy(b[:], c.first)
	return field.KeyVersion(b[:])
}

// run goes through the table in the order of the keys.
func (t *tablePass) run(ctx context.Context) error {
	var later []rowSize
	after, more := keyTexts(nil), true
	for more {
		heads, err := t.survey(ctx, after)
		if err != nil {
			return err
		}
		again, err := t.page(ctx, heads)
		if err != nil {
			return err
		}
		later = append(later, again...)
		if over := len(later) - laterRows; over > 0 {
			t.p.report.Overtaken += over
			later = later[:laterRows]
		}
		if more = len(heads) == surveyRows; more {
			after = heads[len(heads)-1].key
		}
		t.out.Rows += len(heads)
		t.p.progress(t.t.name, len(heads))
	}
	return t.finish(ctx, later)
}

// finish tries once more what was overtaken, and counts the rows that cannot be
// reached by an id.
func (t *tablePass) finish(ctx context.Context, later []rowSize) error {
	for n := 1; n < attempts && len(later) > 0; n++ {
		var err error
		if later, err = t.chunks(ctx, later); err != nil {
			return err
		}
	}
	t.p.report.Overtaken += len(later)
	if t.texts.odd == "" {
		return nil
	}
	return t.p.query(ctx, engine.Stmt{SQL: t.texts.odd, Args: []any{t.p.scope.Tenant}}, func(r engine.Row) error {
		return r.Scan(&t.out.NoKey)
	})
}

// survey reads the heads of one page.
func (t *tablePass) survey(ctx context.Context, after keyTexts) ([]head, error) {
	s := engine.Stmt{SQL: t.texts.first, Args: []any{t.p.scope.Tenant}}
	if after != nil {
		s = engine.Stmt{SQL: t.texts.next, Args: append([]any{t.p.scope.Tenant}, after.args(t.texts.dialect)...)}
	}
	var heads []head
	err := t.p.query(ctx, s, func(r engine.Row) error {
		h := head{cells: make([]cellHead, len(t.cols))}
		var subject string
		var dest []any
		h.key, dest = t.t.scanKey()
		dest = append(dest, &subject)
		for i := range h.cells {
			c := &h.cells[i]
			dest = append(dest, &c.size, &c.first, &c.indexed)
		}
		err := r.Scan(dest...)
		h.row, h.subject = t.t.idOf(h.key), parseOrNil(subject)
		heads = append(heads, h)
		return err
	})
	return heads, err
}

// parseOrNil reads an id; what is none reads as nil.
func parseOrNil(text string) uuid.UUID {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(uuid.Nil.String()) {
		return uuid.Nil
	}
	return id
}

// page counts what needs no work, and does the rest. It returns the rows that
// were overtaken.
func (t *tablePass) page(ctx context.Context, heads []head) (again []rowSize, err error) {
	subjects := make(map[uuid.UUID]bool, len(heads))
	for i := range heads {
		if heads[i].subject != uuid.Nil && heads[i].sealed() {
			subjects[heads[i].subject] = true
		}
	}
	keys, err := t.ciphers(ctx, subjects)
	if err != nil {
		return nil, err
	}
	var todo []rowSize
	for i := range heads {
		if h := &heads[i]; t.needsWork(h, &keys) {
			todo = append(todo, rowSize{h.key, h.size()})
		} else {
			t.countHead(h, &keys)
		}
	}
	return t.chunks(ctx, todo)
}

func (h *head) sealed() bool {
	for i := range h.cells {
		if h.cells[i].size >= 0 {
			return true
		}
	}
	return false
}

func (h *head) size() (n int64) {
	for i := range h.cells {
		n += max(h.cells[i].size, 0)
	}
	return n
}

// needsWork reports whether the row must be read whole.
func (t *tablePass) needsWork(h *head, keys *ciphers) bool {
	cipher, known := keys.get(h.subject)
	if h.row == uuid.Nil || known && cipher == nil { // nobody can open it
		return false
	}
	for i := range h.cells {
		c := &h.cells[i]
		if t.cols[i].sums != nil && (c.size >= 0 || c.indexed) {
			return true
		}
		if version, ok := c.version(); ok && known && t.p.write && t.canRenew(h.subject, version, cipher) {
			return true
		}
	}
	return false
}

// countHead counts a row by its head.
func (t *tablePass) countHead(h *head, keys *ciphers) {
	cipher, known := keys.get(h.subject)
	for i := range h.cells {
		c := &h.cells[i]
		v := verdict{cell: none}
		version, ok := c.version()
		switch {
		case c.size < 0:
		case known && cipher == nil:
			v.cell = erased
		case !ok || !known || h.row == uuid.Nil:
			v.cell = broken
		case t.isOlder(h.subject, version, cipher):
			v.cell, v.version = older, version
		default:
			v.cell = current
		}
		if t.cols[i].sums != nil && c.indexed {
			v.index = broken
		}
		t.add(i, h.row, v)
	}
}

// The states of a cell and of an index value.
type state int

const (
	none    state = iota // NULL, or not looked at
	current              // under the version that seals
	older                // under one that only opens
	erased               // its key was destroyed
	broken               // does not open
	wrong                // an index value that no version gives
)

// verdict says how a cell and its index value stand.
type verdict struct {
	cell, index           state
	version, indexVersion uint32 // where older
}

// add counts one verdict on column i.
func (t *tablePass) add(i int, row uuid.UUID, v verdict) {
	k := &t.out.Columns[i]
	switch v.cell {
	case current:
		k.Current++
	case older:
		k.Older[v.version]++
	case erased:
		k.Erased++
	case broken:
		k.Broken.add(row)
	case none, wrong:
	}
	if k.Index == nil {
		return
	}
	switch v.index {
	case current:
		k.Index.Current++
	case older:
		k.Index.Older[v.indexVersion]++
	case wrong:
		k.Index.Wrong++
	case broken:
		k.Index.Unknown++
	case none, erased:
	}
}
