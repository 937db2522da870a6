package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver of the owner's login

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/insist"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/internal/restoring"
	"github.com/art32/art32/tenancy"
)

//go:embed migrations/postgres/*.sql
var files embed.FS

// own is the line of tables and functions that this package keeps.
func own() tenancy.Line {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // the path is a constant
		return tenancy.Line{Name: "tenancy"}
	}
	return tenancy.Line{Name: "tenancy", FS: sub}
}

// Logins are the DSNs (postgres:// URLs) of a database. They hold passwords.
// [Open] works with the first two, and with the third where it is given.
type Logins struct {
	Library string // text that the library wrote
	App     string // text that callers wrote
	// Across reads rows of tenants for [tenancy.DB.Across], while an access lasts
	// that was written down, and writes nothing. Without it, Across is refused:
	// give it to the programs that need it.
	Across string
	// Backup reads the rows of all tenants, for package backup alone: it belongs
	// to the program that makes backups. Where the owner's login is no superuser,
	// it lacks that right until a superuser gives it, and backups are refused.
	Backup string
}

// SetupOptions adjusts [Setup] and [Migrate]. Nil and zero fields mean the
// defaults.
type SetupOptions struct {
	// Migrations are the application's own, files 0001_name.sql at the root.
	// They run as the owner of the tables. Default: none.
	Migrations fs.FS
	// Lines are those of packages that keep tables: audit.Line() at least, where
	// the log is an audit.Log. A line that has the name of one of the library's
	// own stands in its place, as a restore needs it. Default: none.
	Lines []tenancy.Line
	// Environment is what the database is: "production", or a name of the
	// caller's, such as "staging" or "test". [Setup] stamps a database without
	// tenants with it; Setup and [Open] refuse one that was stamped otherwise, and
	// one with tenants and no stamp counts as production. Default: Setup does not
	// stamp, and nothing is compared.
	Environment string
}

// Lines are the lines of migrations of the library's own that every database
// holds, those of the log apart, for tools that tell what is pending.
func Lines() []tenancy.Line {
	return []tenancy.Line{own(), keyring.Migrations(), lease.Migrations(), outbox.Migrations()}
}

// lines are all lines of a database, in their order, each once.
func (o *SetupOptions) lines(log tenancy.ChangeRecorder) []tenancy.Line {
	lines := Lines()
	if lr, ok := log.(tenancy.LineRecorder); ok {
		lines = append(lines, lr.Lines()...)
	}
	if o == nil {
		return lines
	}
	given := o.Lines
	if o.Migrations != nil {
		given = append(slices.Clone(given), tenancy.Line{Name: "app", FS: o.Migrations})
	}
	for _, l := range given {
		same := func(x tenancy.Line) bool { return x.Name == l.Name }
		if i := slices.IndexFunc(lines, same); i >= 0 {
			lines[i] = l
		} else {
			lines = append(lines, l)
		}
	}
	return lines
}

// Setup prepares a database: roles, grants, the key of the seal, all migrations
// of the library and the application's own. ownerDSN is a postgres:// URL of a
// login that may create roles and owns the database; a superuser will do. It
// creates the roles <database>_owner (no login), <database>_library,
// <database>_app, <database>_across and <database>_backup, gives the logins new passwords and
// returns their DSNs.
// A name too long for that is cut and marked with a hash.
// Repeating it is safe, but running instances must be given the new DSNs; to
// apply migrations alone use [Migrate]. Both refuse a database into which a
// restore of package backup has not finished.
func Setup(ctx context.Context, ownerDSN string, o *SetupOptions) (Logins, error) {
	s, err := connectOwner(ctx, ownerDSN)
	if err != nil {
		return Logins{}, err
	}
	defer s.close()
	if err := s.inEnvironment(ctx, o); err != nil { // before anything is changed
		return Logins{}, err
	}
	if err := s.roles(ctx); err != nil {
		return Logins{}, setupErr("create roles", err)
	}
	if err := s.tables(ctx, o.lines(nil)); err != nil {
		return Logins{}, err
	}
	if err := s.stamp(ctx, o); err != nil {
		return Logins{}, err
	}
	logins, err := s.logins(ctx, ownerDSN)
	return logins, setupErr("create logins", err)
}

// Migrate applies pending migrations of the library and the application's own
// to a database that was set up. It uses the owner's login.
func Migrate(ctx context.Context, ownerDSN string, o *SetupOptions) error {
	s, err := connectOwner(ctx, ownerDSN)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.inEnvironment(ctx, o); err != nil {
		return err
	}
	if err := s.missingGroups(ctx); err != nil {
		return setupErr("create roles", err)
	}
	return s.migrate(ctx, o.lines(nil))
}

// setupErr keeps the server's message where a right is missing: the statements of
// a set-up hold names only.
func setupErr(what string, err error) error {
	if err == nil {
		return nil
	}
	out := translate(err, false)
	pgErr, fromServer := errors.AsType[*pgconn.PgError](err)
	if e, ok := asEngine(out); ok && fromServer && pgErr.Code == "42501" {
		e.Text = pgErr.Message
	}
	return fmt.Errorf("postgres: %s: %w", what, out)
}

// setup works on one connection of the owner's.
type setup struct {
	db       *sql.DB
	conn     *sql.Conn
	database string
}

func connectOwner(ctx context.Context, dsn string) (*setup, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("postgres: owner's DSN: not a valid postgres:// URL")
	}
	if err := verified("owner", &config.Config); err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, setupErr("open", err)
	}
	s := &setup{db: db}
	if s.conn, err = db.Conn(ctx); err == nil {
		err = s.conn.QueryRowContext(ctx, "SELECT current_database()").Scan(&s.database)
	}
	if err != nil {
		return nil, errors.Join(setupErr("connect as owner", err), db.Close())
	}
	if found, err := unfinished(ctx, s.conn); err != nil || len(found) > 0 {
		s.close()
		if err == nil {
			err = fmt.Errorf("postgres: refused: %s; mend: %s", found[0].What, found[0].Mend)
		}
		return nil, err
	}
	return s, nil
}

// unfinished finds the mark of a restore, unless ctx is that restore's.
func unfinished(ctx context.Context, db querier) ([]Finding, error) {
	if _, mine := restoring.From(ctx); mine {
		return nil, nil
	}
	found, err := findings(ctx, db, "", restoring.Query)
	if err != nil {
		return nil, fmt.Errorf("postgres: look for a restore: %w", translate(err, false))
	}
	for i, f := range found {
		found[i] = Finding{What: restoring.What, Mend: fmt.Sprintf(restoring.Mend, f.What)}
	}
	return found, nil
}

func (s *setup) close() {
	_ = s.conn.Close()
	_ = s.db.Close()
}

// role is the name of one of the database's own roles. One that would be too
// long is cut and marked with a hash, so that no two databases share a role.
func (s *setup) role(kind string) string {
	const most = 63 - len("_library") // bytes of a name in PostgreSQL
	name := s.database
	if len(name) > most {
		sum := sha256.Sum256([]byte(name))
		end := most - 9
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end] + "_" + hex.EncodeToString(sum[:4])
	}
	return name + "_" + kind
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// exec runs statements in order. They can be repeated, and are where another
// Setup was faster: roles and rights belong to the whole server.
func (s *setup) exec(ctx context.Context, stmts ...string) error {
	for _, q := range stmts {
		err := insist.On(ctx, func() error { _, err := s.conn.ExecContext(ctx, q); return err })
		if err != nil {
			return err
		}
	}
	return nil
}

// tables makes the tables and the key of the seal. In a restore their texts come
// out of a backup: those run with a login of their own, and so does whatever
// touches what they made, since SET ROLE is undone by RESET ROLE.
func (s *setup) tables(ctx context.Context, lines []tenancy.Line) error {
	maker := s
	if login, ok := restoring.From(ctx); ok {
		if err := s.exec(ctx, "SET search_path = pg_catalog"); err != nil {
			return setupErr("set search_path", err)
		}
		dsn, err := login(ctx, s.role("owner"))
		if err != nil {
			return err
		}
		if maker, err = connectOwner(ctx, dsn); err != nil {
			return err
		}
		defer maker.close()
	}
	if err := maker.migrate(ctx, lines); err != nil {
		return err
	}
	return setupErr("create seal key", maker.sealKey(ctx))
}

// migrate applies the lines as the owner of the tables.
func (s *setup) migrate(ctx context.Context, lines []tenancy.Line) (err error) {
	if err := s.exec(ctx, "SET ROLE "+ident(s.role("owner"))); err != nil {
		return setupErr("become owner of the tables: this needs the owner's login, and art32 init or postgres.Setup before", err)
	}
	defer func() { err = errors.Join(err, setupErr("reset role", s.exec(ctx, "RESET ROLE"))) }()
	if _, err := migrate.Up(ctx, s.conn, migrate.Postgres, lines...); err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	return nil
}
