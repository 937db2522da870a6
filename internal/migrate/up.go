package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// errAlready says that another instance has applied the file meanwhile.
var errAlready = errors.New("migrate: already applied")

const (
	retryAfter   = 10 * time.Millisecond
	retryCreate  = 20 // creations that lose a race before the error counts
	rollbackTime = 5 * time.Second
)

// upper applies files on one connection.
type upper struct {
	db    *sql.Conn
	store store
}

// prepare creates the table of migrations if it is missing.
func (u upper) prepare(ctx context.Context) error {
	for try := 1; ; try++ {
		err := u.create(ctx)
		if err == nil || !raced(err) || try == retryCreate {
			return err
		}
		if err := sleep(ctx, retryAfter); err != nil {
			return err
		}
	}
}

func (u upper) create(ctx context.Context) error {
	there, err := u.store.exists(ctx, u.db)
	if err != nil || there {
		return err
	}
	return u.tx(ctx, func() error {
		_, err := u.db.ExecContext(ctx, u.store.create)
		return err
	})
}

// applyAll applies files and reports whether another instance did so too.
func (u upper) applyAll(ctx context.Context, files []File) (done []Applied, raced bool, err error) {
	for _, f := range files {
		at, err := u.apply(ctx, f)
		switch {
		case errors.Is(err, errAlready):
			raced = true
		case err != nil:
			return done, raced, err
		default:
			done = append(done, Applied{Line: f.Line, Version: f.Version, Name: f.Name, At: at})
		}
	}
	return done, raced, nil
}

// apply runs f and records it, in one transaction.
func (u upper) apply(ctx context.Context, f File) (at time.Time, err error) {
	err = u.tx(ctx, func() error {
		if err := u.lock(ctx, f); err != nil {
			return err
		}
		if err := u.run(ctx, f.SQL); err != nil {
			return err
		}
		at = time.Now().UTC().Truncate(time.Microsecond)
		_, err := u.db.ExecContext(ctx, u.store.insert, f.Line, f.Version, f.Name, f.Checksum, u.store.time(at))
		return err
	})
	if err == nil || errors.Is(err, errAlready) {
		return at, err
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return at, err
	}
	return at, &Error{Line: f.Line, Version: f.Version, Name: f.Name, Err: err}
}

// lock waits for other instances and judges what they have left.
func (u upper) lock(ctx context.Context, f File) error {
	if u.store.lock != "" {
		if _, err := u.db.ExecContext(ctx, u.store.lock); err != nil {
			return err
		}
	}
	held, err := u.store.rows(ctx, u.db, f.Line)
	if err != nil {
		return err
	}
	return f.follows(held)
}

// follows returns nil if f is the next file after held.
func (f File) follows(held []row) error {
	switch n := len(held); {
	case n == f.Version-1:
		return nil
	case n < f.Version-1:
		return ErrChanged
	default:
		r := held[f.Version-1]
		if r.name != f.Name || r.checksum != f.Checksum {
			return ErrChanged
		}
		return errAlready
	}
}

// run executes the file's text. The savepoint is gone if the text has ended the
// transaction: then nothing is recorded.
func (u upper) run(ctx context.Context, text string) error {
	if _, err := u.db.ExecContext(ctx, `SAVEPOINT art32_migration`); err != nil {
		return err
	}
	if _, err := u.db.ExecContext(ctx, text); err != nil {
		return err
	}
	if _, err := u.db.ExecContext(ctx, `RELEASE SAVEPOINT art32_migration`); err != nil {
		return fmt.Errorf("%w: %w", ErrTransaction, err)
	}
	return nil
}

// tx runs fn between BEGIN and COMMIT. It speaks SQL rather than BeginTx since
// database/sql has no word for BEGIN IMMEDIATE.
func (u upper) tx(ctx context.Context, fn func() error) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		_, err = u.db.ExecContext(ctx, `COMMIT`)
	}
	if err != nil {
		u.rollback(ctx)
	}
	return err
}

func (u upper) begin(ctx context.Context) error {
	for {
		_, err := u.db.ExecContext(ctx, u.store.begin)
		if err == nil || !busy(err) {
			return err
		}
		if err := sleep(ctx, retryAfter); err != nil {
			return err
		}
	}
}

// rollback ends the transaction also when ctx is over. Its own error says
// nothing new: the driver discards a connection that is left inside one.
func (u upper) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTime)
	defer cancel()
	_, _ = u.db.ExecContext(ctx, `ROLLBACK`)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
