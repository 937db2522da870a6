package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"

	"github.com/art32/art32/internal/engine"
)

// cached is how many statements of the library a connection keeps compiled.
const cached = 256

// prepared is a compiled statement of the library.
type prepared struct {
	nativeStmt

	returns bool // rows
	busy    bool // being read
	kept    bool // in the cache
	row     record
}

// prepare compiles text, or finds it compiled, and keeps it if it is worth that.
// The caller has the connection.
func (c *conn) prepare(ctx context.Context, text string, keep bool) (*prepared, error) {
	if p := c.cache[text]; p != nil && !p.busy && c.guard.rights == library {
		return p, nil
	}
	inner, err := c.inner.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	native, ok := inner.(nativeStmt)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: driver lacks a method"), inner.Close())
	}
	p := &prepared{nativeStmt: native}
	if p.returns, err = c.returnsRows(text); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if keep && c.cache[text] == nil {
		c.keep(text, p)
	}
	return p, nil
}

// keep adds to the cache and forgets others where it is full.
func (c *conn) keep(text string, p *prepared) {
	for other, q := range c.cache {
		if len(c.cache) < cached {
			break
		}
		if !q.busy {
			delete(c.cache, other)
			_ = q.Close()
		}
	}
	c.cache[text], p.kept = p, true
}

func (c *conn) returnsRows(text string) (bool, error) {
	if isSelect(text) {
		return true, nil
	}
	columns, err := c.inner.ColumnInfo(text)
	return len(columns) > 0, err
}

func isSelect(text string) bool {
	const word = "SELECT"
	return len(text) > len(word) && strings.EqualFold(text[:len(word)], word)
}

// run executes one statement of the library and returns the number of rows
// that it affected or returned. row runs without rights and without the
// connection: it belongs to others.
func (c *conn) run(ctx context.Context, s engine.Stmt, row func(engine.Row) error) (int64, error) {
	args, err := bindAll(s.Args)
	if s.Caller && (!c.use.confined || strings.IndexByte(s.SQL, 0) >= 0) {
		err = &engine.Error{Kind: engine.Forbidden, Text: "text of a caller outside a caller's transaction, or with NUL"}
	}
	if err != nil {
		return 0, c.failed(err)
	}
	var p *prepared
	var rs driver.Rows
	var n int64
	r := library
	if s.Caller {
		r = reader
	}
	err = c.as(r, func() (err error) {
		if c.phase != idle {
			if err := c.ready(ctx); err != nil {
				return err
			}
		}
		if p, err = c.prepare(ctx, s.SQL, !s.Once && !s.Caller); err != nil {
			return err
		}
		p.busy = true
		if p.returns {
			rs, err = p.QueryContext(ctx, args)
			return err
		}
		n, err = affected(p.ExecContext(ctx, args))
		return err
	})
	if rs != nil {
		n, err = c.read(ctx, p, rs, r, row)
	}
	err = errors.Join(err, c.done(p, rs))
	if err == nil {
		err = counted(s, n)
	}
	if err != nil {
		return n, c.failed(err)
	}
	return n, nil
}

func affected(res driver.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// counted enforces the number of rows that a statement demands.
func counted(s engine.Stmt, n int64) error {
	if s.Rows == 0 || s.Rows == n {
		return nil
	}
	return &engine.Error{Kind: engine.WrongRows}
}

// read hands each row to row.
func (c *conn) read(ctx context.Context, p *prepared, rs driver.Rows, r rights, row func(engine.Row) error) (n int64, err error) {
	p.row.names = rs.Columns()
	if len(p.row.values) != len(p.row.names) {
		p.row.values = make([]driver.Value, len(p.row.names))
	}
	for {
		err := ctx.Err() // the driver watches it during the first step only
		if err == nil {
			err = c.as(r, func() error { return rs.Next(p.row.values) })
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		n++
		if row == nil {
			continue
		}
		if err := row(&p.row); err != nil {
			return n, callback{err}
		}
	}
}

// callback carries an error of the code that reads rows past translation.
type callback struct{ error }

// done gives a statement back to the cache.
func (c *conn) done(p *prepared, rs driver.Rows) error {
	if p == nil {
		return nil
	}
	return c.as(library, func() error {
		var err error
		if rs != nil {
			err = rs.Close()
		}
		p.busy = false
		clear(p.row.values)
		if !p.kept {
			err = errors.Join(err, p.Close())
		}
		return err
	})
}

// failed ends the transaction for err, and says err without values.
func (c *conn) failed(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own, ok := errors.AsType[callback](err); ok {
		_ = c.fail(own.error)
		return own.error
	}
	return c.fail(err)
}
