package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/art32/art32/internal/insist"
	"github.com/art32/art32/internal/pglogin"
)

// createRole creates a role unless it exists; two Setups at once may race. The
// quotation marks of the block are random, so that no name can hold them.
func createRole(name, options string) string {
	mark := "$a" + rand.Text() + "$"
	return fmt.Sprintf(`DO %s BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = %s) THEN CREATE ROLE %s %s; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END %s`, mark, literal(name), ident(name), options, mark)
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// groups creates the roles of which the logins are members, on the whole server.
func groups() (all []string) {
	for _, kind := range []string{"library", "app", "across"} {
		all = append(all, createRole("art32_"+kind, "NOLOGIN"))
	}
	return all
}

// missingGroups creates those that an older version did not know.
func (s *setup) missingGroups(ctx context.Context) error {
	var there int
	err := s.conn.QueryRowContext(ctx, "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname IN ('art32_library', 'art32_app', 'art32_across')").Scan(&there)
	if err != nil || there == 0 || there == len(groups()) { // none: it was never set up
		return err
	}
	return s.exec(ctx, groups()...)
}

func (s *setup) roles(ctx context.Context) error {
	owner, db := ident(s.role("owner")), ident(s.database)
	err := s.exec(ctx, append(groups(),
		createRole(s.role("owner"), "NOLOGIN"),
		"GRANT "+owner+" TO CURRENT_USER",
		"GRANT CREATE ON DATABASE "+db+" TO "+owner,
		"REVOKE ALL ON DATABASE "+db+" FROM PUBLIC",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
		"GRANT USAGE, CREATE ON SCHEMA public TO "+owner,
		"GRANT USAGE ON SCHEMA public TO art32_library, art32_app, art32_across",
	)...)
	// Where an earlier Setup took it from everybody, as after a change of the
	// database's name, the functions of the migrations need it back.
	_ = s.exec(ctx, "GRANT USAGE ON LANGUAGE plpgsql TO "+owner)
	return err
}

// logins creates the logins with new passwords, all or none: of two Setups at
// once, the later one's are valid.
func (s *setup) logins(ctx context.Context, ownerDSN string) (l Logins, err error) {
	var create, change []string
	for kind, dsn := range map[string]*string{"library": &l.Library, "app": &l.App, "across": &l.Across, "backup": &l.Backup} {
		first, more, err := s.login(kind, ownerDSN, dsn)
		if err != nil {
			return Logins{}, err
		}
		create, change = append(create, first), append(change, more...)
	}
	if err := s.exec(ctx, create...); err != nil {
		return Logins{}, err
	}
	slices.Sort(change) // one order for all, lest two wait for each other
	err = insist.On(ctx, func() error { return s.atOnce(ctx, change) })
	if err != nil {
		return Logins{}, err
	}
	s.harden(ctx)
	return l, nil
}

// atOnce runs statements in one transaction.
func (s *setup) atOnce(ctx context.Context, stmts []string) error {
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, q := range stmts {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// login gives the statement that creates a login and those that give it a new
// password and its rights, and sets its DSN.
func (s *setup) login(kind, ownerDSN string, dsn *string) (create string, more []string, err error) {
	name := s.role(kind)
	own, verifier, err := pglogin.New(ownerDSN, name)
	if err != nil {
		return "", nil, err
	}
	*dsn = own
	more = []string{
		"ALTER ROLE " + ident(name) + " LOGIN NOCREATEDB NOCREATEROLE INHERIT PASSWORD " + literal(verifier),
		"GRANT CONNECT ON DATABASE " + ident(s.database) + " TO " + ident(name),
	}
	if kind != "backup" { // which reads all and is in no group
		more = append(more, "GRANT art32_"+kind+" TO "+ident(name))
	}
	return createRole(name, "LOGIN"), more, nil
}

// harden does what only a superuser may: a backup login that sees all rows, no
// parameters in the server's log, no login that ends or watches the work of another, no
// large objects and messages in the write-ahead log, which no policy reaches, and no
// blocks of code by a login that may not create functions. Where the owner may not,
// [Open] refuses what is left, but for the last, for which callers' text is refused
// before it is sent, and for the log, unless statements are logged.
func (s *setup) harden(ctx context.Context) {
	for _, q := range []string{
		"ALTER ROLE " + ident(s.role("backup")) + " BYPASSRLS",
		"GRANT pg_read_all_data TO " + ident(s.role("backup")),
		"ALTER ROLE " + ident(s.role("backup")) + " SET default_transaction_read_only = on",
		"ALTER DATABASE " + ident(s.database) + " SET log_parameter_max_length = 0",
		"ALTER DATABASE " + ident(s.database) + " SET log_parameter_max_length_on_error = 0",
		"REVOKE EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend(int, bigint), pg_catalog.pg_cancel_backend(int)," +
			" pg_catalog.pg_stat_get_activity(int), pg_catalog.pg_stat_get_backend_activity(int) FROM PUBLIC",
		"REVOKE EXECUTE ON FUNCTION pg_catalog.lo_creat(int), pg_catalog.lo_create(oid)," +
			" pg_catalog.lo_from_bytea(oid, bytea) FROM PUBLIC",
		`DO $$ DECLARE f regprocedure; BEGIN
			FOR f IN SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = 'pg_logical_emit_message' LOOP
				EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
			END LOOP; END $$`, // its parameters differ by version
		"REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
	} {
		_ = s.exec(ctx, q) // refused to an owner who is no superuser
	}
}
