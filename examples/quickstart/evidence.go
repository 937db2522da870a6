package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the owner's look from outside
	_ "modernc.org/sqlite"             // the administrator's look from outside

	"github.com/art32/art32/audit"
)

// window is how many bytes of a value the search goes by; shorter values occur
// in files by chance.
const window = 8

// onDisk searches the database's files for the values of encrypted columns.
func (s *story) onDisk(ctx context.Context) error {
	s.title("The bytes on disk hold no plaintext of an encrypted column.")
	for _, file := range []string{"nordlicht.csv", "suedwind.csv"} {
		if err := s.plant(file); err != nil {
			return err
		}
	}
	return s.searchDisk(ctx)
}

func (s *story) onDiskAgain(ctx context.Context) error {
	s.plantText(doerteName, doerteMail, "+49 221 4710 777")
	return s.searchDisk(ctx)
}

// plant remembers the values that must not be found.
func (s *story) plant(file string) error {
	rows, err := readFile(s.csv, file)
	if err != nil {
		return err
	}
	for _, c := range rows {
		for _, f := range []interface{ Reveal() (string, error) }{c.Name, c.Email, c.Phone, c.IBAN, c.Note} {
			text, err := f.Reveal()
			if err != nil {
				return err
			}
			s.plantText(text)
		}
	}
	return nil
}

func (s *story) plantText(texts ...string) {
	for _, t := range texts {
		if len(t) >= window {
			s.planted = append(s.planted, []byte(t))
		}
	}
}

// searchDisk reads every file, the write-ahead log included.
func (s *story) searchDisk(ctx context.Context) error {
	h := newHaystack(s.planted)
	var err error
	if s.owner == "" {
		err = h.folder(s.dir)
	} else {
		err = h.server(ctx, s.owner)
	}
	if denied, ok := errors.AsType[*pgconn.PgError](err); ok && denied.Code == "42501" {
		s.printf("   – the server's files were not searched: only a superuser may read them")
		return nil
	}
	if err != nil {
		return err
	}
	if h.found > 0 {
		return fmt.Errorf("%d plaintext value(s) found in %s", h.found, h.where)
	}
	s.shownf("%d values searched for in %d files, %.1f MiB: none found", len(s.planted), h.files, float64(h.bytes)/(1<<20))
	return nil
}

// haystack looks for many values at once, by their first bytes.
type haystack struct {
	needles map[[window]byte][][]byte
	files   int
	bytes   int64
	found   int
	where   string
}

func newHaystack(values [][]byte) *haystack {
	h := &haystack{needles: map[[window]byte][][]byte{}}
	for _, v := range values {
		k := [window]byte(v)
		h.needles[k] = append(h.needles[k], v)
	}
	return h
}

func (h *haystack) search(name string, b []byte) {
	h.files++
	h.bytes += int64(len(b))
	for i := 0; i+window <= len(b); i++ {
		for _, v := range h.needles[[window]byte(b[i:i+window])] {
			if len(b)-i >= len(v) && string(b[i:i+len(v)]) == string(v) {
				h.found++
				h.where = name
			}
		}
	}
}

func (h *haystack) folder(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path) //nolint:gosec // our own folder
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a journal that was removed meanwhile
		}
		h.search(d.Name(), b)
		return err
	})
}

// server reads the files of the database and the newest write-ahead log through
// the server, which a superuser may.
func (h *haystack) server(ctx context.Context, owner string) error {
	db, err := sql.Open("pgx", owner) //art32:allow rawhandle a superuser looks from outside for what must not be there
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, `
		SELECT path, pg_read_binary_file(path, 0, 1 << 28, true) FROM (
			SELECT 'base/' || d.oid || '/' || f AS path FROM pg_database d, pg_ls_dir('base/' || d.oid) f WHERE d.datname = current_database()
			UNION ALL SELECT 'pg_wal/' || w.name FROM (SELECT name FROM pg_ls_waldir() ORDER BY modification DESC LIMIT 4) w
		) files WHERE path NOT LIKE '%/pgsql_tmp'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var b sql.RawBytes
		if err := rows.Scan(&name, &b); err != nil {
			return err
		}
		h.search(name, b)
	}
	return rows.Err()
}

// tamper plays an administrator who changes one byte of the log behind the
// library's back, and puts it back.
func (s *story) tamper(ctx context.Context) error {
	s.title("Someone with full rights on the database changes one byte of the log.")
	if err := s.swap(ctx, "customers.update", "customers.updatf"); err != nil {
		return err
	}
	r, err := audit.Verify(ctx, s.db, s.north.ID, nil)
	if err != nil {
		return err
	}
	if r.OK() {
		return errors.New("the changed byte was not noticed")
	}
	s.shownf("verification fails: entry %d %s: %s", r.Findings[0].Index, r.Findings[0].Kind, r.Findings[0].Text)
	if err := s.swap(ctx, "customers.updatf", "customers.update"); err != nil {
		return err
	}
	if err := s.verified(ctx); err != nil {
		return err
	}
	s.shownf("and holds again once the byte is put back")
	return nil
}

// swap changes the action of the newest event about the person of the story.
func (s *story) swap(ctx context.Context, from, to string) error {
	driver, dsn := "sqlite", filepath.Join(s.dir, "tenants", s.north.ID.String()+".db")
	update := "UPDATE art32_events SET action = $1 WHERE action = $2 AND object = $3"
	unlock, lock := "SELECT 1", "SELECT 1"
	if s.owner != "" {
		driver, dsn = "pgx", s.owner
		update = "UPDATE art32.events SET action = $1 WHERE action = $2 AND object = $3"
		unlock, lock = "ALTER TABLE art32.events NO FORCE ROW LEVEL SECURITY", "ALTER TABLE art32.events FORCE ROW LEVEL SECURITY"
	}
	db, err := sql.Open(driver, dsn) //art32:allow rawhandle plays the one who goes past the library
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect after the commit
	if _, err := tx.ExecContext(ctx, unlock); err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, update, to, from, s.doerte)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("%d entries changed, not 1: %w", n, err)
	}
	if _, err := tx.ExecContext(ctx, lock); err != nil {
		return err
	}
	return tx.Commit()
}
