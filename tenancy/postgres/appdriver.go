package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// appDriverTx is the transaction as database/sql sees it.
type appDriverTx struct{ c *appConn }

// Commit implements [driver.Tx]. The caller's own Commit rolls back: the library
// may have more to write, and InSQL has not returned yet.
func (t appDriverTx) Commit() error {
	if !t.c.ending {
		t.c.denied++
		return errors.Join(controls(), t.Rollback())
	}
	return t.c.end(context.Background(), "COMMIT")
}

// Rollback implements [driver.Tx].
func (t appDriverTx) Rollback() error { return t.c.rollback() }

func (c *appConn) rollback() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackPatience)
	defer cancel()
	return c.end(ctx, "ROLLBACK")
}

// IsValid implements [driver.Validator]: a connection in doubt is not used again.
func (c *appConn) IsValid() bool { return !c.broken && !c.open && !c.wire.pg.IsClosed() }

// ResetSession implements [driver.SessionResetter].
func (c *appConn) ResetSession(context.Context) error {
	if !c.IsValid() || c.wire.pg.TxStatus() != 'I' {
		return driver.ErrBadConn
	}
	return nil
}

// Close implements [driver.Conn].
func (c *appConn) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), rollbackPatience)
	defer cancel()
	return c.wire.pg.Close(ctx)
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *appConn) CheckNamedValue(v *driver.NamedValue) error {
	if v.Name != "" {
		return &engine.Error{Kind: engine.BadValue, Text: "named parameters are written $1, $2, …"}
	}
	if id, ok := v.Value.(uuid.UUID); ok {
		v.Value = id.String()
		return nil
	}
	x, err := driver.DefaultParameterConverter.ConvertValue(v.Value)
	if err != nil {
		return &engine.Error{Kind: engine.BadValue}
	}
	v.Value = x
	return nil
}

// ExecContext implements [driver.ExecerContext].
func (c *appConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	rep, err := c.caller(ctx, query, args, nil)
	return driver.RowsAffected(rep.rows), err
}

// QueryContext implements [driver.QueryerContext]. The rows are read into
// memory before it returns, so that the next statement can be sent.
func (c *appConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows := &appRows{}
	rep, err := c.caller(ctx, query, args, rows.add)
	if err != nil {
		return nil, err
	}
	rows.names = rep.columns
	return rows, nil
}

// caller runs one statement of the caller's.
func (c *appConn) caller(
	ctx context.Context, query string, args []driver.NamedValue, row func(engine.Row) error,
) (reply, error) {
	if err := c.admit(query); err != nil {
		return reply{}, err
	}
	s := engine.Stmt{SQL: query, Once: true, Caller: true}
	for _, a := range args {
		s.Args = append(s.Args, a.Value)
	}
	if err := countable(s); err != nil {
		return reply{}, err
	}
	return c.flush(ctx, s, textFormat, row)
}

// admit refuses text before it is sent, by its first words: what begins or ends
// a transaction, and what is not on the list. What slips through is noticed
// afterwards by the state that the server reports.
//
// Savepoints are the caller's to use; but rolling back to one must not undo what
// the library wrote since, which may be the only trace of something done.
func (c *appConn) admit(query string) error {
	if strings.IndexByte(query, 0) >= 0 {
		return &engine.Error{Kind: engine.BadValue, Text: "the statement holds NUL"}
	}
	if err := judgeText(query); err != nil {
		c.denied++
		return err
	}
	switch first, _ := nextWord(query); first {
	case "SAVEPOINT":
		c.saved = true
	case "ROLLBACK":
		if c.undoable || c.saved && len(c.queue) > 0 {
			return &engine.Error{Kind: engine.Forbidden, Text: "rolling back to the savepoint would undo recorded events: return an error instead"}
		}
	}
	return nil
}

// PrepareContext implements [driver.ConnPrepareContext]: the text is kept here,
// since a name on the server could be replaced by another statement.
func (c *appConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	return &appStmt{c: c, query: query}, nil
}

// Prepare implements [driver.Conn].
func (c *appConn) Prepare(query string) (driver.Stmt, error) {
	return &appStmt{c: c, query: query}, nil
}

type appStmt struct {
	c     *appConn
	query string
}

var (
	_ driver.StmtExecContext  = (*appStmt)(nil)
	_ driver.StmtQueryContext = (*appStmt)(nil)
)

func (*appStmt) Close() error { return nil }

func (*appStmt) NumInput() int { return -1 }

func (*appStmt) Exec([]driver.Value) (driver.Result, error) { return nil, outside() }

func (*appStmt) Query([]driver.Value) (driver.Rows, error) { return nil, outside() }

func (s *appStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.c.ExecContext(ctx, s.query, args)
}

func (s *appStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.c.QueryContext(ctx, s.query, args)
}

// appRows holds a result that was read.
type appRows struct {
	names []string
	rows  [][]driver.Value
	next  int
}

// add keeps one row.
func (r *appRows) add(row engine.Row) error {
	d, ok := row.(*decoder)
	if !ok {
		return outside()
	}
	values := make([]driver.Value, len(d.values))
	for i, b := range d.values {
		v, err := driverValue(&d.fields[i], b)
		if err != nil {
			return &engine.Error{Kind: engine.BadValue, Column: d.fields[i].Name}
		}
		values[i] = v
	}
	r.rows = append(r.rows, values)
	return nil
}

// Columns implements [driver.Rows].
func (r *appRows) Columns() []string { return r.names }

// Close implements [driver.Rows].
func (r *appRows) Close() error { return nil }

// Next implements [driver.Rows].
func (r *appRows) Next(dest []driver.Value) error {
	if r.next == len(r.rows) {
		return io.EOF
	}
	copy(dest, r.rows[r.next])
	r.next++
	return nil
}
