package pgsource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/pglogin"
	"github.com/art32/art32/tenancy"
)

const (
	defaultPartSize = 8 << 20
	maxPartSize     = 64 << 20
	attempts        = 5 // while tables come and go between two looks
)

// Options adjusts [New]. Nil and zero fields mean the defaults.
type Options struct {
	// Migrations are the application's own, as they were given to
	// [postgres.Setup]. Default: none.
	Migrations fs.FS
	// Lines are those that were given to [postgres.Setup]. Default: none.
	Lines []tenancy.Line
	// PartSize is how large a file of rows becomes, in bytes; a row that is
	// larger is a file of its own. Default 8 MiB, at most 64 MiB.
	PartSize int
	// Exclude are tables that no part is to hold, as "schema.table" or "table",
	// each with its reason, which the manifest repeats. Default: none.
	Exclude map[string]string
	// Keystore is the DSN of a login that may read the keystore, where it lies in
	// another database than the data. Default: the same login.
	Keystore string
}

type source struct {
	config   *pgx.ConnConfig
	keystore *pgx.ConnConfig
	lines    []tenancy.Line
	part     int
	exclude  map[string]string
}

// New reads the database of a backup login, a postgres:// URL; postgres.Setup
// made the login (Logins.Backup). It opens nothing yet. A server that is reached
// over a network and not verified is refused with [backup.ErrRole].
func New(backupDSN string, o *Options) (backup.Source, error) {
	if o == nil {
		o = &Options{}
	}
	s := &source{lines: allLines(o.Lines, o.Migrations), part: o.PartSize, exclude: make(map[string]string)}
	if s.part <= 0 {
		s.part = defaultPartSize
	}
	s.part = min(s.part, maxPartSize)
	for table, reason := range o.Exclude {
		if reason == "" {
			return nil, errors.New("pgsource: new source: a table is excluded without a reason")
		}
		if !strings.Contains(table, ".") {
			table = "public." + table
		}
		s.exclude[table] = reason
	}
	var err error
	if s.config, err = parse("backup", backupDSN); err != nil {
		return nil, err
	}
	if s.keystore = s.config; o.Keystore != "" {
		s.keystore, err = parse("keystore", o.Keystore)
	}
	return s, err
}

// Engine implements [backup.Source].
func (s *source) Engine() string { return "postgres" }

// Snapshot implements [backup.Source].
func (s *source) Snapshot(ctx context.Context) (backup.Snapshot, error) {
	conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, fmt.Errorf("pgsource: snapshot: connect: %w", told(err))
	}
	for range attempts {
		var snap *snapshot
		if snap, err = s.open(ctx, conn); err == nil {
			return snap, nil
		}
		if !errors.Is(err, errMoved) {
			break
		}
	}
	return nil, errors.Join(fmt.Errorf("pgsource: snapshot: %w", told(err)), hangUp(ctx, conn))
}

// parse reads a DSN and refuses a login over a network if one of its servers is
// not verified (TOM-4.1). Sockets and loopback need no TLS. Statements are sent
// without a name, as a pooler demands.
func parse(login, dsn string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil { // the parser's error would print the password
		return nil, fmt.Errorf("pgsource: %s login: not a valid postgres:// URL", login)
	}
	if !pglogin.Verified(&c.Config) {
		return nil, fmt.Errorf("pgsource: %s login: %w", login, &refusal{[]finding{{
			what: "the server is reached over a network and not verified",
			mend: "add sslmode=verify-full to the DSN", role: true,
		}}})
	}
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	return c, nil
}

// hangUp closes a connection also when ctx is over.
func hangUp(ctx context.Context, c *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	return told(c.Close(ctx))
}
