package tenancytest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

func (w *World) openSQLite(tb testing.TB, root keyring.Wrapper) {
	tb.Helper()
	store, err := sqlite.OpenKeystore(tb.Context(), w.KeysDir)
	check(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	w.join(tb, root, store)
	w.DB, err = sqlite.Open(tb.Context(), w.Dir, w.schema, w.Keys, w.Log, &sqlite.Options{
		Migrations: w.options.Migrations, Lines: w.options.Lines, Environment: environment, Ledger: w.options.Ledger, Logger: w.options.Logger,
	})
	check(tb, err)
	tb.Cleanup(func() { _ = w.DB.Close() })
}

// environment is what a world is stamped as.
const environment = "test"

func (w *World) openPostgres(tb testing.TB, root keyring.Wrapper) {
	tb.Helper()
	store, err := postgres.OpenKeystore(tb.Context(), w.Logins.Library)
	check(tb, err)
	tb.Cleanup(func() { _ = store.Close() })
	w.join(tb, root, store)
	w.DB, err = postgres.Open(tb.Context(), w.Logins, w.schema, w.Keys, w.Log, &postgres.Options{
		SetupOptions: w.options.setup(), Ledger: w.options.Ledger, Logger: w.options.Logger,
	})
	check(tb, err)
	tb.Cleanup(func() { _ = w.DB.Close() })
}

// join makes the keys and the log over a keystore.
func (w *World) join(tb testing.TB, root keyring.Wrapper, store Keystore) {
	tb.Helper()
	var err error
	w.Store = store
	w.Keys, err = keyring.New(root, store, w.options.Keyring)
	check(tb, err)
	w.Log, err = audit.New(w.Keys, &audit.Options{Logger: w.options.Logger, Classes: w.options.Classes})
	check(tb, err)
}

func (o *Options) setup() postgres.SetupOptions {
	return postgres.SetupOptions{Migrations: o.Migrations, Lines: append(slices.Clone(o.Lines), audit.Line()), Environment: environment}
}

// setUp gives tb a database of its own that Setup has prepared. Migrations run
// once per process; what follows are copies.
func setUp(tb testing.TB, o *Options) (owner string, logins postgres.Logins) {
	tb.Helper()
	setup := o.setup()
	name, err := fingerprint(&setup)
	check(tb, err)
	owner = dbtest.FromTemplate(tb, "tenancytest/"+name, func(ctx context.Context, dsn string) error {
		if _, err := postgres.Setup(ctx, dsn, &setup); err != nil {
			return err
		}
		return bare(ctx, dsn)
	})
	check(tb, adopt(tb.Context(), owner))
	logins, err = postgres.Setup(tb.Context(), owner, &setup)
	check(tb, err)
	return owner, logins
}

// fingerprint names the migrations of a database by their content.
func fingerprint(o *postgres.SetupOptions) (string, error) {
	lines := append(postgres.Lines(), o.Lines...)
	if o.Migrations != nil {
		lines = append(lines, tenancy.Line{Name: "app", FS: o.Migrations})
	}
	h := sha256.New()
	for _, l := range lines {
		files, err := l.Files(migrate.Postgres)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			fmt.Fprintf(h, "%s/%s %s\n", f.Line, f.Name, f.Checksum)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// bare takes from a template what each copy gets of its own: the settings of a
// database, which are not copied, the rights that are given to its owner role
// anew, and the key of the seal.
func bare(ctx context.Context, dsn string) error {
	return asOwner(ctx, dsn, func(conn *pgx.Conn) error {
		database := conn.Config().Database
		owner := ident(database + "_owner")
		_, err := conn.Exec(ctx, "ALTER DATABASE "+ident(database)+" RESET ALL; DELETE FROM art32.seal_keys;"+
			"REVOKE ALL ON SCHEMA public FROM "+owner+"; REVOKE ALL ON LANGUAGE plpgsql FROM "+owner)
		return err
	})
}

// The policies that name role $1, to name role $2 in its place.
const policiesOf = `SELECT format('ALTER POLICY %I ON %s TO %s', polname, polrelid::regclass,
	(SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' WHEN r = $1::regrole THEN quote_ident($2) ELSE r::regrole::text END, ', ')
		FROM unnest(polroles) r))
FROM pg_policy WHERE $1::regrole = ANY (polroles)`

// What in the database still belongs to role $1, or is a policy for it.
const stillOf = `SELECT count(*) FROM pg_shdepend WHERE refobjid = $1::regrole AND deptype IN ('o', 'r')
	AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`

// adopt gives what the owner role of the template has in the copy to that of the
// copy, as Setup would have named it.
func adopt(ctx context.Context, dsn string) error {
	return asOwner(ctx, dsn, func(conn *pgx.Conn) error {
		var of string
		err := conn.QueryRow(ctx, "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'art32'").Scan(&of)
		if err != nil {
			return err
		}
		to := conn.Config().Database + "_owner"
		rows, err := conn.Query(ctx, policiesOf, ident(of), to)
		if err != nil {
			return err
		}
		statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		statements = append([]string{"CREATE ROLE " + ident(to) + " NOLOGIN"}, statements...)
		for _, s := range append(statements, "REASSIGN OWNED BY "+ident(of)+" TO "+ident(to)) {
			if _, err := conn.Exec(ctx, s); err != nil {
				return err
			}
		}
		var left int
		if err := conn.QueryRow(ctx, stillOf, ident(of)).Scan(&left); err != nil || left == 0 {
			return err
		}
		return fmt.Errorf("%d objects of the template's owner could not be handed over", left)
	})
}

func asOwner(ctx context.Context, dsn string, fn func(conn *pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	return errors.Join(fn(conn), conn.Close(ctx))
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }
