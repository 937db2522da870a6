package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/internal/pglogin"
)

// The variables that stand in for flags which hold passwords.
const (
	envOwner   = "ART32_OWNER_DSN"
	envLibrary = "ART32_DSN"
	envApp     = "ART32_APP_DSN"
	envAcross  = "ART32_ACROSS_DSN"
	envBackup  = "ART32_BACKUP_DSN"
)

func envDSNs() []string {
	return []string{os.Getenv(envOwner), os.Getenv(envLibrary), os.Getenv(envApp), os.Getenv(envAcross), os.Getenv(envBackup)}
}

// target is the database that a verb works on.
type target struct {
	data string // directory: SQLite
	dsn  string // PostgreSQL
	env  string // where the DSN may stand instead
}

func (t *target) flags(fs *flag.FlagSet, role, env string) {
	t.env = env
	fs.StringVar(&t.data, "data", "", "the `DIR` that holds the SQLite files")
	fs.StringVar(&t.dsn, "dsn", "", "the postgres:// `URL` of the "+role+" login; default: $"+env)
}

// resolve makes sure that exactly one database is meant, by a DSN that may
// travel.
func (t *target) resolve() error {
	if err := t.choose(); err != nil || t.dsn == "" {
		return err
	}
	return checkDSN("--dsn", t.dsn)
}

// choose makes sure that exactly one database is meant.
func (t *target) choose() error {
	if t.data == "" && t.dsn == "" {
		t.dsn = os.Getenv(t.env)
	}
	switch {
	case t.data == "" && t.dsn == "":
		return usagef("say which database: --data DIR for SQLite, --dsn URL (or $%s) for PostgreSQL", t.env)
	case t.data != "" && t.dsn != "":
		return usagef("--data and --dsn exclude each other")
	case t.dsn != "":
		_, err := parseDSN("--dsn", t.dsn)
		return err
	}
	abs, err := filepath.Abs(t.data)
	t.data = abs
	return err
}

// checkDSN refuses what is no URL, and a network without a verified server
// (TOM-4.1). It quotes nothing.
func checkDSN(name, dsn string) error {
	c, err := parseDSN(name, dsn)
	if err == nil && !pglogin.Verified(&c.Config) {
		return usagef("%s reaches the server over a network without verifying it: add sslmode=verify-full to the URL", name)
	}
	return err
}

// parseDSN refuses what is no URL.
func parseDSN(name, dsn string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil || !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		return nil, usagef("%s is no valid postgres:// URL", name)
	}
	return c, nil
}

// folder opens the application's migrations; "" is none.
func folder(dir string) (fs.FS, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // no migrations are no error
	}
	st, err := os.Stat(dir)
	if err != nil {
		return nil, usagef("--migrations: %v", err)
	}
	if !st.IsDir() {
		return nil, usagef("--migrations: %s is no directory", dir)
	}
	return os.DirFS(dir), nil
}
