package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/art32/art32/internal/engine"
)

// phase is where the transaction of a connection stands.
type phase int

const (
	idle   phase = iota // none
	lazy                // promised, not begun
	active              // begun
	dead                // rolled back after a failure; ends when its owner says so
)

//nolint:gochecknoglobals // constant errors
var (
	errBusy    = &engine.Error{Kind: engine.Unavailable, Text: conditions[codeBusy]}
	errOutside = refused("statement outside a transaction")
	errEnded   = refused("the caller ended the transaction; only the library does")
)

// BeginTx implements [driver.ConnBeginTx]. A confined connection begins with
// its first statement.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != idle {
		return nil, refused("transaction inside a transaction")
	}
	c.phase, c.denied, c.reads = lazy, 0, o.ReadOnly && c.use.confined
	if c.use.confined && !c.reads {
		c.written, c.counts = nil, true
		c.hooks.RegisterPreUpdateHook(c.onWrite)
	}
	if !c.use.confined {
		if err := c.ready(ctx); err != nil {
			c.phase = idle
			return nil, err
		}
	}
	return (*connTx)(c), nil
}

// Begin implements [driver.Conn].
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// start promises a transaction to the library.
func (c *conn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == idle {
		c.phase = lazy
	}
}

// ready begins a promised transaction. It begins as a writer, so that no later
// statement can fail because another has written since the first; one that only
// reads waits for nobody.
func (c *conn) ready(ctx context.Context) error {
	switch c.phase {
	case active:
		return nil
	case dead:
		return c.failure
	case idle:
		if c.use.confined {
			return errOutside
		}
		return nil
	case lazy:
	}
	begin := "BEGIN"
	if !c.reads {
		if err := c.gate.enter(ctx, c.use.timeout); err != nil {
			return c.fail(err)
		}
		c.writing, begin = true, "BEGIN IMMEDIATE"
	}
	if err := c.control(ctx, begin); err != nil {
		c.phase = active // it may have begun although ctx ended
		return c.fail(err)
	}
	c.phase = active
	return nil
}

// fail rolls back and remembers err as the reason.
func (c *conn) fail(err error) error {
	err = translate(err, c.file)
	if c.phase == idle {
		return err
	}
	if c.phase == active {
		c.revert()
	}
	c.phase, c.failure = dead, err
	c.giveUp()
	return err
}

// revert sends ROLLBACK. It fails only where SQLite has rolled back by itself.
func (c *conn) revert() {
	c.phase = dead
	_ = c.control(context.Background(), "ROLLBACK")
}

func (c *conn) giveUp() {
	if c.writing {
		c.writing = false
		c.gate.leave()
	}
}

// commit ends the transaction for good. Once the COMMIT is sent, ctx no longer
// matters: the outcome must be known.
func (c *conn) commit(ctx context.Context) error {
	defer c.finish()
	switch c.phase {
	case idle, lazy:
		return nil
	case dead:
		return c.failure
	case active:
	}
	if err := ctx.Err(); err != nil {
		return c.fail(err)
	}
	if c.gate.closed.Load() {
		return c.fail(errClosed)
	}
	c.commits = true
	err := c.control(context.Background(), "COMMIT")
	c.commits = false
	if err != nil {
		err = c.fail(err)
		return doubtful(err)
	}
	return nil
}

// doubtful marks an input or output error while committing: what reached the
// disk may yet count after a crash.
func doubtful(err error) error {
	if e, ok := errors.AsType[*engine.Error](err); ok && primary(e.Code) == codeIO {
		return &engine.Error{Kind: engine.Unknown, Code: e.Code, Text: e.Text}
	}
	return err
}

func primary(code string) int {
	n, err := strconv.Atoi(code)
	if err != nil {
		return 0
	}
	return n & 0xff
}

// rollback ends the transaction without a trace.
func (c *conn) rollback() {
	if c.phase == active {
		c.revert()
	}
	c.finish()
}

func (c *conn) finish() {
	if c.counts {
		c.counts = false
		c.hooks.RegisterPreUpdateHook(nil)
	}
	c.phase, c.failure, c.mayEnd, c.reads = idle, nil, false, false
	c.giveUp()
}

// onWrite counts the rows that callers' text writes. SQLite calls it for each row,
// also for those of triggers, of foreign keys and of a table that is emptied.
func (c *conn) onWrite(d sqlite.SQLitePreUpdateData) {
	if c.guard.rights != caller {
		return
	}
	verb := map[int32]string{sqlite3.SQLITE_INSERT: "insert", sqlite3.SQLITE_UPDATE: "update", sqlite3.SQLITE_DELETE: "delete"}[d.Op]
	c.written = engine.AddWritten(c.written, engine.Written{Table: d.TableName, Verb: verb, Rows: 1})
}

// control runs a statement of the library's own about the transaction.
func (c *conn) control(ctx context.Context, text string) error {
	return c.with(library, func() error {
		p, err := c.prepare(ctx, text, true)
		if err != nil {
			return err
		}
		_, err = p.ExecContext(ctx, nil)
		return err
	})
}

// onCommit lets nothing but the engine commit on a confined connection, not
// even a write that SQLite would commit by itself.
func (c *conn) onCommit() int32 {
	if c.use.confined && !c.commits {
		return 1
	}
	return 0
}

// connTx is the end of a transaction as database/sql sees it.
type connTx conn

// Commit implements [driver.Tx]. On a confined connection only the engine
// commits; for anybody else the transaction is dead, and the connection with it.
func (t *connTx) Commit() error {
	c := (*conn)(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.use.confined && !c.mayEnd {
		c.denied++
		return c.fail(errEnded)
	}
	return c.commit(context.Background())
}

// Rollback implements [driver.Tx].
func (t *connTx) Rollback() error {
	c := (*conn)(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.use.confined && !c.mayEnd {
		_ = c.fail(errEnded)
		return nil
	}
	c.rollback()
	return nil
}

// letEnd lets the next Commit or Rollback by database/sql through.
func (c *conn) letEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mayEnd = true
}
