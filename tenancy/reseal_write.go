package tenancy

import (
	"context"
	"errors"
	"slices"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

// writeAll writes rows, each only if nobody has written it since it was read. It
// returns those that somebody has.
func (t *tablePass) writeAll(ctx context.Context, rows []*rowChange) (lost []rowSize, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	var hit map[*rowChange]bool
	if t.p.db.eng.Dialect() == migrate.Postgres && len(rows) > 1 {
		hit, err = t.writeBatch(ctx, rows)
	} else {
		hit, err = t.writeEach(ctx, rows)
	}
	switch {
	case errors.Is(err, ErrExists):
		return t.writeApart(ctx, rows)
	case yielded(err): // others go first
		hit = nil
	case err != nil:
		return nil, err
	}
	for _, r := range rows {
		if hit[r] {
			t.settle(r, true, true)
		} else {
			lost = append(lost, r.size())
		}
	}
	return lost, nil
}

func (r *rowChange) size() rowSize {
	s := rowSize{key: r.key}
	for i := range r.cells {
		s.size += int64(len(r.cells[i].old))
	}
	return s
}

// yielded reports whether the database took a transaction back so that another
// can go on: deadlock, or one that could not be put in a line with others.
func yielded(err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	return ok && slices.Contains([]string{"40P01", "40001", "55P03"}, e.Code)
}

// writeBatch writes rows in one statement. It takes no row that somebody holds,
// so that it never waits while it holds rows itself: no transaction of others can
// come to wait for it in a circle.
func (t *tablePass) writeBatch(ctx context.Context, rows []*rowChange) (map[*rowChange]bool, error) {
	args, err := t.batchArgs(rows)
	if err != nil {
		return nil, err
	}
	tx, err := t.p.db.begin(ctx, t.p.scope)
	if err != nil {
		return nil, err
	}
	hit := make(map[*rowChange]bool, len(rows))
	_, err = tx.eng.Run(ctx, engine.Stmt{SQL: t.texts.batch, Args: args, Once: true}, engine.Commit, func(r engine.Row) error {
		var n int
		if err := r.Scan(&n); err != nil {
			return err
		}
		hit[rows[n]] = true
		return nil
	})
	return hit, err
}

// writeEach writes rows one after the other in one transaction.
func (t *tablePass) writeEach(ctx context.Context, rows []*rowChange) (map[*rowChange]bool, error) {
	tx, err := t.p.db.begin(ctx, t.p.scope)
	if err != nil {
		return nil, err
	}
	hit := make(map[*rowChange]bool, len(rows))
	if tx.eng.Dialect() == migrate.Postgres {
		tx.eng.Queue(engine.Stmt{SQL: lockPatience})
	}
	for _, r := range rows {
		n, err := tx.eng.Run(ctx, engine.Stmt{SQL: t.texts.one, Args: t.oneArgs(r)}, engine.Continue, nil)
		if err != nil {
			return nil, errors.Join(err, tx.eng.Rollback(context.WithoutCancel(ctx)))
		}
		hit[r] = n == 1
	}
	return hit, tx.eng.Commit(ctx)
}

// writeApart writes rows each in a transaction of its own, after one of them met
// a value that may stand once.
func (t *tablePass) writeApart(ctx context.Context, rows []*rowChange) (lost []rowSize, err error) {
	for _, r := range rows {
		hit, err := t.writeEach(ctx, []*rowChange{r})
		switch {
		case errors.Is(err, ErrExists):
			if hit, err = t.writeConflict(ctx, r); err != nil {
				return nil, err
			}
		case yielded(err):
			hit = nil
		case err != nil:
			return nil, err
		default:
			if hit[r] {
				t.settle(r, true, true)
			}
		}
		if !hit[r] {
			lost = append(lost, r.size())
		}
	}
	return lost, nil
}

// writeConflict writes of a row what can be written: its cells, and the index
// values that no other row has. Those in conflict stay under the older version,
// by which the row is found until then.
func (t *tablePass) writeConflict(ctx context.Context, r *rowChange) (map[*rowChange]bool, error) {
	whole := slices.Clone(r.cells)
	for i := range r.cells {
		r.cells[i].writeIndex = false
	}
	hit := map[*rowChange]bool{r: true}
	var err error
	if r.changes() {
		if hit, err = t.writeEach(ctx, []*rowChange{r}); err != nil || !hit[r] {
			return hit, err
		}
	}
	t.settle(r, true, false)
	for i := range r.cells {
		c := &r.cells[i]
		if c.write {
			c.old, c.write = c.fresh, false
		}
	}
	for i := range r.cells {
		if whole[i].writeIndex {
			if err := t.writeIndex(ctx, r, i); err != nil {
				return nil, err
			}
		}
	}
	return hit, nil
}

// writeIndex writes the index value of column i by itself, and counts what came
// of it in place of what was counted.
func (t *tablePass) writeIndex(ctx context.Context, r *rowChange, i int) error {
	c, k := &r.cells[i], t.out.Columns[i].Index
	c.writeIndex = true
	hit, err := t.writeEach(ctx, []*rowChange{r})
	c.writeIndex = false
	switch {
	case errors.Is(err, ErrExists):
		k.Conflicts.add(r.row)
	case yielded(err) || err == nil && !hit[r]:
		t.p.report.Overtaken++
		return nil
	case err != nil:
		return err
	default:
		k.Current++
		t.p.report.Reindexed++
	}
	if c.index == older {
		k.Older[c.indexVersion]--
	} else {
		k.Wrong--
	}
	return nil
}
