package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// nativeStmt is what the driver's statements can do.
type nativeStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// stmt is a statement that arrived by database/sql. SQLite may compile it anew
// on any use, so each use claims the connection with its rights.
type stmt struct {
	nativeStmt

	c     *conn
	query string
}

var _ nativeStmt = (*stmt)(nil)

// ExecContext implements [driver.StmtExecContext].
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	err = s.c.outside(ctx, s.query, func() error {
		res, err = s.nativeStmt.ExecContext(ctx, args)
		return err
	})
	return res, err
}

// QueryContext implements [driver.StmtQueryContext].
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rs driver.Rows, err error) {
	err = s.c.outside(ctx, s.query, func() error {
		inner, err := s.nativeStmt.QueryContext(ctx, args)
		rs, err = s.c.wrapRows(inner, s.query, err)
		return err
	})
	return rs, err
}

// Close implements [driver.Stmt].
func (s *stmt) Close() error {
	return s.c.as(s.c.rights(s.query), s.nativeStmt.Close)
}

// nativeRows is what the driver's results can do.
type nativeRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// rows is a result that database/sql reads. Reading compiles text, too: table
// functions and full-text tables send statements of their own.
type rows struct {
	inner nativeRows
	c     *conn
	query string
}

var _ nativeRows = (*rows)(nil)

func (c *conn) wrapRows(inner driver.Rows, query string, err error) (driver.Rows, error) {
	if err != nil {
		return nil, err
	}
	n, ok := inner.(nativeRows)
	if !ok {
		return nil, errors.Join(errors.New("sqlite: driver lacks a method"), inner.Close())
	}
	return &rows{inner: n, c: c, query: query}, nil
}

// Next implements [driver.Rows].
func (r *rows) Next(dest []driver.Value) error {
	var end error
	err := r.c.outside(context.Background(), r.query, func() error {
		err := r.inner.Next(dest)
		if errors.Is(err, io.EOF) {
			end, err = err, nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return end
}

// Close implements [driver.Rows].
func (r *rows) Close() error {
	return r.c.as(r.c.rights(r.query), r.inner.Close)
}

// Columns implements [driver.Rows].
func (r *rows) Columns() []string { return r.inner.Columns() }

// ColumnTypeDatabaseTypeName implements its interface.
func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	return r.inner.ColumnTypeDatabaseTypeName(i)
}

// ColumnTypeLength implements its interface.
func (r *rows) ColumnTypeLength(i int) (int64, bool) {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.inner.ColumnTypeLength(i)
}

// ColumnTypeNullable implements its interface.
func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) { return r.inner.ColumnTypeNullable(i) }

// ColumnTypePrecisionScale implements its interface.
func (r *rows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	return r.inner.ColumnTypePrecisionScale(i)
}

// ColumnTypeScanType implements its interface.
func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.inner.ColumnTypeScanType(i)
}
