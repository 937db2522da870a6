package sqlitesource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/art32/art32/tenancy"
)

// The words of a DSN.
const (
	readOnly  = "mode=ro&_pragma=busy_timeout(5000)&_pragma=trusted_schema(0)"
	readWrite = "mode=rw&_pragma=busy_timeout(5000)&_pragma=trusted_schema(0)&_pragma=secure_delete(1)&_pragma=synchronous(FULL)"
)

// with opens a file for one use, on one connection. Errors of SQLite may quote
// values: they are put into words that hold none.
func with(ctx context.Context, path, mode string, fn func(*sql.Conn) error) (err error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: mode}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c, err := db.Conn(ctx)
	if err != nil {
		return unreadable(ctx, path, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return fn(c)
}

// coder is an error of the driver.
type coder interface {
	error
	Code() int
}

// unreadable keeps of an error of SQLite its code alone.
func unreadable(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[coder](err); ok {
		return &fileError{name: filepath.Base(path), code: e.Code()}
	}
	return fmt.Errorf("%s: %w", filepath.Base(path), err)
}

// fileError says in which file SQLite failed, and with which of its result codes.
type fileError struct {
	name string
	code int
}

// codeFull is SQLITE_FULL.
const codeFull = 13

func (e *fileError) Error() string {
	if e.code&0xff == codeFull {
		return e.name + ": the disk is full"
	}
	return fmt.Sprintf("%s: SQLite refuses with code %d", e.name, e.code)
}

// copy copies a file as it is at one moment, and checks every page.
func (v *snapshot) copy(ctx context.Context, from string) (path string, err error) {
	if st, err := os.Lstat(from); err != nil || !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s is missing although it was made: restore it from an older backup", from)
	}
	path = filepath.Join(v.scratch, filepath.Base(from))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // SQLite fills an empty file and keeps its mode
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	err = with(ctx, from, readOnly, func(c *sql.Conn) error {
		_, err := c.ExecContext(ctx, "VACUUM INTO ?", path)
		return err
	})
	if err != nil {
		return "", unreadable(ctx, from, err)
	}
	v.step("copied")
	return path, check(ctx, path)
}

// check reads every page of a file that nobody else has open.
func check(ctx context.Context, path string) error {
	verdict := ""
	err := with(ctx, path, readOnly, func(c *sql.Conn) error {
		return c.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict)
	})
	if err != nil {
		return unreadable(ctx, path, err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%s is damaged", filepath.Base(path))
	}
	return nil
}

// readTenants reads which tenants there are and whose files were ever made.
func readTenants(ctx context.Context, path string) (tenants, files []tenancy.ID, err error) {
	err = with(ctx, path, readOnly, func(c *sql.Conn) error {
		rows, err := c.QueryContext(ctx, `SELECT t.id, f.tenant_id IS NOT NULL FROM art32_tenants t
			LEFT JOIN art32_files f ON f.tenant_id = t.id ORDER BY t.id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id tenancy.ID
			var made bool
			if err := rows.Scan(&id, &made); err != nil {
				return err
			}
			if tenants = append(tenants, id); made {
				files = append(files, id)
			}
		}
		return rows.Err()
	})
	if err != nil {
		err = unreadable(ctx, path, err)
	}
	return tenants, files, err
}

// ofTenant refuses a file that holds another tenant's data.
func ofTenant(ctx context.Context, path string, t tenancy.ID) error {
	var whose tenancy.ID
	err := with(ctx, path, readOnly, func(c *sql.Conn) error {
		return c.QueryRowContext(ctx, "SELECT tenant_id FROM art32_home WHERE one = 1").Scan(&whose)
	})
	if err != nil {
		return unreadable(ctx, path, err)
	}
	if whose != t {
		return fmt.Errorf("%s holds the data of another tenant", filepath.Base(path))
	}
	return nil
}

// empty removes from the platform's copy what must not outlive the processes.
func empty(ctx context.Context, path string) error {
	return edit(ctx, path, func(tx *sql.Tx, has map[string]bool) error {
		for table, text := range map[string]string{sessionTable: "DELETE FROM art32_sessions", leaseTable: "DELETE FROM art32_leases"} {
			if !has[table] {
				continue
			}
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// edit changes a copy in one transaction. has names its tables.
func edit(ctx context.Context, path string, fn func(tx *sql.Tx, has map[string]bool) error) error {
	err := with(ctx, path, readWrite, func(c *sql.Conn) error {
		names, err := tableNames(ctx, c)
		if err != nil {
			return err
		}
		has := map[string]bool{}
		for _, n := range names {
			has[n] = true
		}
		tx, err := c.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := fn(tx, has); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
	if err != nil {
		return unreadable(ctx, path, err)
	}
	return nil
}
