package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
)

const (
	idleConns = 4           // that a file keeps open
	idleTime  = time.Minute // until they are closed
)

// file is one SQLite file and its connections.
type file struct {
	path string // absolute
	name string // relative to the directory, as errors say it
	gate *gate
	use  use
	db   *sql.DB
}

// newFile makes the pools of a file; it touches nothing.
func newFile(dir, name string, u use) *file {
	f := &file{path: filepath.Join(dir, filepath.FromSlash(name)), name: name, gate: newGate(), use: u}
	f.db = f.pool(u)
	f.db.SetMaxIdleConns(idleConns)
	f.db.SetConnMaxIdleTime(idleTime)
	return f
}

func (f *file) pool(u use) *sql.DB {
	return sql.OpenDB(&connector{path: f.path, file: f.name, gate: f.gate, use: u})
}

// session is one connection taken from the pool.
type session struct {
	*conn

	pinned *sql.Conn
}

func (f *file) session(ctx context.Context) (session, error) {
	pinned, err := f.db.Conn(ctx)
	if err != nil {
		return session{}, translate(err, f.name)
	}
	return pin(pinned)
}

// pin takes the connection out of database/sql, which keeps it for us until
// close.
func pin(pinned *sql.Conn) (s session, err error) {
	s.pinned = pinned
	err = pinned.Raw(func(c any) error {
		var ok bool
		if s.conn, ok = c.(*conn); !ok {
			return errors.New("sqlite: foreign connection")
		}
		return nil
	})
	if err != nil {
		return session{}, errors.Join(err, pinned.Close())
	}
	return s, nil
}

func (s session) close() error { return s.pinned.Close() }

// atRest reports whether no transaction is open or promised.
func (s session) atRest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == idle
}

// writes is what callers' text has written.
func (s session) writes() []engine.Written {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.written)
}

// refusals is how many statements of the caller were refused.
func (s session) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied
}

// query runs one reading statement of the library.
func (f *file) query(ctx context.Context, s engine.Stmt, row func(engine.Row) error) (err error) {
	ses, err := f.session(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ses.close()) }()
	_, err = ses.run(ctx, s, row)
	return err
}

// write runs fn in one transaction of the library.
func (f *file) write(ctx context.Context, fn func(session) error) (err error) {
	ses, err := f.session(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ses.close()) }()
	ses.start()
	if err := fn(ses); err != nil {
		return ses.failed(err)
	}
	return ses.as(library, func() error { return ses.commit(ctx) })
}

// migrate brings the file up to lines. untrusted texts run with the rights of
// the user's migrations. sync is NORMAL, or OFF for a file that nobody has.
func (f *file) migrate(ctx context.Context, untrusted map[string]bool, sync string, lines ...migrate.Line) (err error) {
	u := f.use
	u.rights, u.untrusted, u.confined, u.sync = owner, untrusted, false, sync
	db := f.pool(u)
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return translate(err, f.name)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	_, err = migrate.Up(ctx, c, migrate.SQLite, lines...)
	return err
}

// check reads every page and its links. It finds what a crash of the disk or
// of the machine has torn.
func (f *file) check(ctx context.Context) error {
	verdict, err := f.upkeep(ctx, `PRAGMA quick_check(1)`)
	if err != nil {
		return err
	}
	if verdict != "ok" { // its words may quote names only, but say nothing to act on
		return &engine.Error{Kind: engine.Other, Text: damaged(f.name)}
	}
	return nil
}

const scrubPause = 20 * time.Millisecond

// scrub moves the write-ahead log into the file and empties it, so that
// nothing that was overwritten remains in it. It waits for readers.
func (f *file) scrub(ctx context.Context) error {
	for {
		busy, err := f.upkeep(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
		if err == nil && busy == "0" {
			return f.empty()
		}
		if err != nil && !isBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return &engine.Error{Kind: engine.Unavailable, Text: f.name + ": a reader keeps the write-ahead log", Cause: ctx.Err()}
		case <-time.After(scrubPause):
		}
	}
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	return ok && (primary(e.Code) == codeBusy || primary(e.Code) == codeLocked)
}

// empty looks that the log holds nothing.
func (f *file) empty() error {
	st, err := os.Stat(f.path + "-wal")
	if err == nil && st.Size() > 0 {
		return &engine.Error{Kind: engine.Unavailable, Text: f.name + ": the write-ahead log was written to again"}
	}
	return nil
}

// upkeep runs a statement of the owner and gives the first column of its row.
func (f *file) upkeep(ctx context.Context, text string) (first string, err error) {
	return f.upkeepAs(ctx, owner, text)
}

func (f *file) upkeepAs(ctx context.Context, r rights, text string) (first string, err error) {
	ses, err := f.session(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, ses.close()) }()
	err = ses.as(r, func() error {
		rs, err := ses.inner.QueryContext(ctx, text, nil)
		if err != nil {
			return translate(err, f.name)
		}
		first, err = firstText(rs)
		return translate(errors.Join(err, rs.Close()), f.name)
	})
	return first, err
}

func (f *file) close() error { return f.db.Close() }

// shut moves the log into the file and closes it. Transactions under way fail.
// A log that a reader still needs stays, and is read with the next opening.
func (f *file) shut() error {
	if f.gate.closed.Swap(true) {
		return nil
	}
	_, err := f.upkeep(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`)
	if isBusy(err) {
		err = nil
	}
	return errors.Join(err, f.db.Close())
}

// firstText gives the first column of the first row as text; "" without a row.
func firstText(rs driver.Rows) (string, error) {
	row := make([]driver.Value, len(rs.Columns()))
	switch err := rs.Next(row); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil:
		return "", err
	}
	return fmt.Sprint(row[0]), nil
}
