package dbtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// namePrefix begins the name of every database and session of this package.
const namePrefix = "art32_"

var (
	errSettings  = errors.New("dbtest: the template has settings of its own (ALTER DATABASE … SET), which a copy does not carry")
	errServerURL = errors.New("dbtest: " + envServer + " is not a URL such as postgres://postgres:password@127.0.0.1:5432/postgres")
)

// source is what a new database is copied from; blank fixes encoding and
// collation, which only template0 allows.
type source struct {
	name  string
	blank bool
}

// server is a PostgreSQL server as its superuser sees it. One session stays
// open as long as the process lives: its name tells other processes that the
// databases with the same tag are in use. Safe for concurrent use.
type server struct {
	kept *Server // holds the pipe, which closes when nothing refers to it
	base *url.URL
	tag  string // art32_<pid>_<random>
	last atomic.Int64

	mu   sync.Mutex
	conn *pgx.Conn
}

// openServer connects as the superuser and removes what processes
// that are gone have left behind.
func openServer(ctx context.Context, running *Server) (*server, error) {
	base, err := url.Parse(running.URL())
	if err != nil || base.Host == "" || !strings.HasPrefix(base.Scheme, "postgres") {
		return nil, errServerURL // the parser's error would print the password
	}
	suffix := make([]byte, 4)
	rand.Read(suffix)
	s := &server{kept: running, base: base, tag: fmt.Sprintf("%s%d_%s", namePrefix, os.Getpid(), hex.EncodeToString(suffix))}
	var super bool
	if err := s.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super)
	}); err != nil {
		return nil, fmt.Errorf("dbtest: connect to the test server: %w", err)
	}
	if !super {
		return nil, errors.New("dbtest: the user of the test server is not a superuser")
	}
	return s, s.with(ctx, func(c *pgx.Conn) error { return sweep(ctx, c) })
}

// nextName returns a database name that no other process uses.
func (s *server) nextName() string {
	return fmt.Sprintf("%s_%d", s.tag, s.last.Add(1))
}

// urlOf returns the superuser's URL of a database.
func (s *server) urlOf(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

// with runs f on the session of the process and opens it anew when it broke.
func (s *server) with(ctx context.Context, f func(*pgx.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil || s.conn.IsClosed() {
		config, err := pgx.ParseConfig(s.base.String())
		if err != nil {
			return errServerURL
		}
		config.RuntimeParams["application_name"] = s.tag
		if s.conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			return err
		}
	}
	return f(s.conn)
}

func (s *server) create(ctx context.Context, name string, from source) error {
	statement := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(from.name)
	if from.blank {
		statement += " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
	}
	return s.with(ctx, func(c *pgx.Conn) error {
		if _, err := c.Exec(ctx, statement); err != nil {
			return err
		}
		if from.blank {
			return nil
		}
		return copyRights(ctx, c, from.name, name)
	})
}

// drop removes a database with all its sessions, and the roles named after it.
func (s *server) drop(ctx context.Context, name string) error {
	return s.with(ctx, func(c *pgx.Conn) error { return dropDatabase(ctx, c, name) })
}

// freeze closes a template to connections, for PostgreSQL copies only a
// database that nobody uses.
func (s *server) freeze(ctx context.Context, name string) error {
	return s.with(ctx, func(c *pgx.Conn) error {
		var settings bool
		if err := c.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_db_role_setting s
			JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = $1)`, name).Scan(&settings); err != nil {
			return err
		}
		if settings {
			return errSettings
		}
		if _, err := c.Exec(ctx, "ALTER DATABASE "+quote(name)+" ALLOW_CONNECTIONS false"); err != nil {
			return err
		}
		_, err := c.Exec(ctx, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name)
		return err
	})
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
