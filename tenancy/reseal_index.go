package tenancy

import (
	"context"
	"reflect"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
)

// indexes are the blind index of a column under each version of the tenant's
// index key, that which is written first.
func (tx *Tx) indexes(ctx context.Context, t *table, c *column) ([]*field.Index, error) {
	keys, err := tx.db.keys.IndexKeys(ctx, tx.scope.Tenant)
	if err != nil {
		return nil, err
	}
	return t.indexes(c, keys)
}

// free refuses a row with a value that another row has under another version of
// the index key, which the constraint of the column cannot see. While the key has
// one version there is nothing to ask.
func (r *Repository[T]) free(ctx context.Context, tx *Tx, v reflect.Value) error {
	for i := range r.t.cols {
		c := &r.t.cols[i]
		if c.index == nil || !c.index.unique {
			continue
		}
		versions, err := tx.indexes(ctx, r.t, c)
		if err != nil || len(versions) == 1 {
			return err
		}
		text, ok, err := sealable(v, c).IndexText()
		if err != nil || !ok { // erased, or NULL; other errors were those of sealing
			continue
		}
		if err := r.freeUnder(ctx, tx, c, r.t.keyAt(v), text, versions[1:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repository[T]) freeUnder(
	ctx context.Context, tx *Tx, c *column, key rowKey, text string, versions []*field.Index,
) error {
	b := &builder{tx: tx, t: r.t}
	b.text.WriteString("SELECT 1 FROM " + r.t.qualified(tx.eng.Dialect()) +
		" WHERE " + quote(r.t.cols[r.t.tenant].name) + " = " + b.param(tx.scope.Tenant) +
		" AND NOT (")
	for i, v := range key.params(nil)[1:] {
		if i > 0 {
			b.text.WriteString(" AND ")
		}
		b.text.WriteString(r.t.keyNames()[i] + " = " + b.param(v))
	}
	b.text.WriteString(") AND ")
	sums := make([]any, len(versions))
	for i, x := range versions {
		sums[i] = x.Sum(text)
	}
	if err := b.oneOf(c.index.name, sums); err != nil {
		return err
	}
	n, err := tx.eng.Run(ctx, engine.Stmt{SQL: b.text.String() + " LIMIT 1", Args: b.args}, engine.Continue, nil)
	if err == nil && n > 0 {
		err = &engine.Error{Kind: engine.Unique, Table: r.t.name, Column: c.index.name}
	}
	return err
}

// described reports whether it is known how the index is computed.
func (x *blindIndex) described() bool { return x.transform != "" }

// indexes are the blind index of a column under each version of the index key.
func (t *table) indexes(c *column, keys []keyring.IndexKey) ([]*field.Index, error) {
	out := make([]*field.Index, len(keys))
	for i, k := range keys {
		label := t.name + "." + c.name
		var err error
		if c.index.unique {
			out[i], err = field.NewUniqueIndex(k.Key, label, c.index.transform)
		} else {
			out[i], err = field.NewIndex(k.Key, label, c.index.transform, c.index.rows)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
