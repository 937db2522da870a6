package keyring

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// ErrResidue says that a key's tombstone stands, but that its bytes may still
// lie in the keystore's files: a reader kept the write-ahead log from being
// emptied. Shredding must be repeated.
var ErrResidue = errors.New("keyring: key bytes may remain in the keystore's write-ahead log; shred again")

// checkpointWait is how long Shred waits for readers to leave the log.
const checkpointWait = 5 * time.Second

func (s *sqlStore) Shred(ctx context.Context, tenant uuid.UUID, name string, at time.Time) error {
	conn, err := s.writer(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	times := 1
	if !s.lite { // a version that was introduced meanwhile was not seen; no more can come
		times = 2
	}
	for range times {
		if _, err := conn.ExecContext(ctx, s.text.shred, tenant.String(), name, at.UnixMilli()); err != nil {
			return storeError("shred", err)
		}
	}
	if s.lite {
		return emptyLog(ctx, conn)
	}
	return nil
}

// writer returns a connection for statements that write keys. On SQLite it does
// not leave their bytes in the free space of pages.
func (s *sqlStore) writer(ctx context.Context) (*sql.Conn, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, storeError("connect to", err)
	}
	if s.lite {
		if err := secureDelete(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// secureDelete makes SQLite overwrite what it frees with zeroes, and looks
// whether it does.
func secureDelete(ctx context.Context, conn *sql.Conn) error {
	var on int
	if err := conn.QueryRowContext(ctx, `PRAGMA secure_delete = ON`).Scan(&on); err != nil {
		return storeError("write", err)
	}
	if on != 1 {
		return errors.New("keyring: write: SQLite does not accept secure_delete")
	}
	return nil
}

// emptyLog moves the write-ahead log into the file and truncates it.
func emptyLog(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, checkpointWait)
	defer cancel()
	for {
		var busy, log, moved int
		err := conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved)
		if err == nil && busy == 0 && log <= 0 { // -1: not in WAL mode
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("%w (%w)", ErrResidue, err)
			}
			return ErrResidue
		case <-time.After(20 * time.Millisecond):
		}
	}
}
