package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Weakness names something for which [Open] refuses a database, and which a
// caller may accept by [Options.Unsafe] where nobody is superuser of the server,
// as with many hosted ones.
type Weakness string

const (
	// UnsafeSharedSessions accepts that the app login may look at and end the
	// sessions of its own name. It gives up that tenants cannot see each other's
	// SQL and cannot stop each other's work: callers' text of one tenant can read
	// the text of the statements that another's runs at that moment, with the
	// values that were written into it and not bound as parameters, and can end
	// it. Rows stay out of reach.
	UnsafeSharedSessions Weakness = "shared-sessions"
	// UnsafeLargeObjects accepts that the app login may make large objects. They
	// belong to the login and to no tenant: callers' text of one tenant can read,
	// change and remove what another's put there, and fill the disk. It gives up
	// nothing where no statement of the program's uses them and its SQL cannot be
	// injected.
	UnsafeLargeObjects Weakness = "large-objects"
	// UnsafeWriteAheadLog accepts that the app login may write messages into the
	// server's write-ahead log (pg_logical_emit_message), from a transaction that only
	// reads too. One tenant's text can fill the disk for all with them, and whoever
	// decodes the log sees them. It gives up nothing of the rows.
	UnsafeWriteAheadLog Weakness = "write-ahead-log"
	// UnsafeSharedKeys accepts unique and exclusion constraints and foreign keys of
	// tables of tenants that leave the tenant out. PostgreSQL checks them past
	// row-level security: one tenant learns from a refusal what another has, refers
	// to another's row, and ON DELETE CASCADE deletes across tenants. It gives up
	// that what one has is hidden from others, but not their rows. A key of one
	// uuid by itself, which nobody guesses, is no finding.
	UnsafeSharedKeys Weakness = "shared-keys"
	// UnsafeWatched accepts tables that art32.unsafe_watch leaves open to the login of
	// an older application while they are carried over. It gives up that the rows of
	// these tables are kept apart in what that login does; the logins of the library
	// are held as elsewhere. SELECT art32.unwatch('…') ends it for a table.
	UnsafeWatched Weakness = "watched-tables"
	// UnsafeUnprotected accepts tables that are declared and not protected yet, so
	// that a program can begin to work while they are carried over. It gives up
	// that their rows are kept apart from each other in what other logins do. Those
	// of the library have no right to them: whatever needs such a table fails, an
	// erasure too.
	UnsafeUnprotected Weakness = "unprotected-tables"
)

// acceptable are the names that a caller may give.
//
//nolint:gochecknoglobals // a constant
var acceptable = []Weakness{UnsafeSharedSessions, UnsafeLargeObjects, UnsafeWriteAheadLog, UnsafeSharedKeys, UnsafeWatched, UnsafeUnprotected}

// weaknesses lists for each what the app login must not be able to execute.
var weaknesses = []struct {
	name      Weakness
	functions []string
	what      string
}{
	{
		UnsafeSharedSessions,
		[]string{"pg_terminate_backend", "pg_cancel_backend", "pg_stat_get_activity", "pg_stat_get_backend_activity"},
		"with which one tenant's text sees or ends the work of another's",
	},
	{
		UnsafeLargeObjects,
		[]string{"lo_creat", "lo_create", "lo_from_bytea"},
		"and large objects belong to all tenants",
	},
	{
		UnsafeWriteAheadLog,
		[]string{"pg_logical_emit_message"},
		"with which one tenant's text fills the disk for all",
	},
}

// weak finds what the app login may execute and should not, keys that tenants share,
// and tables that are not carried over yet. The mend is the statement to the letter.
func weak(ctx context.Context, app *sql.DB, tables []string) (out []Finding, err error) {
	for _, w := range weaknesses {
		found, err := findings(ctx, app, "", `SELECT 'role ' || current_user || ' may execute ' || p.oid::regprocedure || ', ' || $2::text,
			format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC, art32_app, %I; -- in this database, as superuser', p.oid::regprocedure, current_user)
			FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ($1::text[])
			AND has_function_privilege(p.oid, 'EXECUTE') ORDER BY p.proname`, w.functions, w.what)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].Weakness = w.name
		}
		out = append(out, found...)
	}
	for _, q := range []struct {
		text string
		name Weakness
		args []any
	}{
		{sharedTables + sharedUnique, UnsafeSharedKeys, nil},
		{sharedTables + sharedForeign, UnsafeSharedKeys, nil},
		{watchedTables, UnsafeWatched, nil},
		{untouchedTables, UnsafeUnprotected, []any{tables}},
	} {
		found, err := findings(ctx, app, "", q.text, q.args...)
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].Weakness = q.name
		}
		out = append(out, found...)
	}
	return out, nil
}

const (
	// sharedTables are the tables that art32.protect was called for, with the column
	// of the tenant, as the policy names it.
	sharedTables = `WITH tenants AS (
	SELECT p.polrelid AS id, a.attnum AS tenant, a.attname AS name
	FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
	JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		AND starts_with(pg_get_expr(p.polqual, p.polrelid), '(' || quote_ident(a.attname) || ' = ')
	WHERE p.polname = 'art32_app_guard' AND c.relnamespace::regnamespace::text NOT IN ('art32', 'art32_keys') AND NOT c.relispartition
)
`
	sharedUnique = `SELECT format('%s %I of table %s leaves out the tenant', CASE WHEN x.indisexclusion THEN 'exclusion constraint' ELSE 'unique index' END, i.relname, t.id::regclass),
	CASE WHEN x.indisexclusion THEN format('exclude %I WITH = too', t.name)
	ELSE format('CREATE UNIQUE INDEX ON %s (%s%s); then drop %I', t.id::regclass, quote_ident(t.name) || ', ',
		(SELECT string_agg(pg_get_indexdef(x.indexrelid, n, true), ', ' ORDER BY n) FROM generate_series(1, x.indnkeyatts) n), i.relname) END
	FROM tenants t JOIN pg_catalog.pg_index x ON x.indrelid = t.id JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
	WHERE (x.indisunique OR x.indisexclusion) AND NOT t.tenant = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])
	AND NOT (x.indnkeyatts = 1 AND x.indisunique AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = t.id AND a.attnum = x.indkey[0] AND a.atttypid = 'uuid'::regtype))
	ORDER BY 1`
	sharedForeign = `SELECT format('foreign key %I of table %s leaves out the tenant', f.conname, t.id::regclass),
	format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s; the columns it names need a unique index', t.id::regclass, f.conname, f.conname,
		regexp_replace(regexp_replace(regexp_replace(pg_get_constraintdef(f.oid), '^FOREIGN KEY [(]', 'FOREIGN KEY (' || quote_ident(t.name) || ', '),
			'REFERENCES ([^(]+)[(]', 'REFERENCES \1(' || quote_ident(o.name) || ', '),
			'ON DELETE SET (NULL|DEFAULT)(?! [(])', 'ON DELETE SET \1 (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n)
				FROM unnest(f.conkey) WITH ORDINALITY k(attnum, n) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) || ')'))
	FROM tenants t JOIN pg_catalog.pg_constraint f ON f.conrelid = t.id AND f.contype = 'f' JOIN tenants o ON o.id = f.confrelid
	WHERE NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) k(own, other) WHERE k.own = t.tenant AND k.other = o.tenant)
	ORDER BY 1`
	watchedTables = `SELECT format('table %s is watched: role %s reads and writes the rows of all tenants', p.polrelid::regclass,
		(SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r)::text END, ', ') FROM unnest(p.polroles) r)),
	format('SELECT art32.unwatch(%L)', p.polrelid::regclass::text)
	FROM pg_catalog.pg_policy p WHERE p.polname = 'art32_unsafe_watch' ORDER BY 1`
	untouchedTables = `SELECT format('table %s is declared and not protected', c.oid::regclass),
	format('SELECT art32.protect(%L) in a migration; art32 adopt plan writes it', c.oid::regclass::text)
	FROM unnest($1::text[]) d(t) JOIN pg_catalog.pg_class c ON c.oid = to_regclass(d.t) AND ` + untouched + ` ORDER BY 1`
)

// known refuses names that are not those of a weakness.
func known(accepted []Weakness) error {
	for _, a := range accepted {
		if !slices.Contains(acceptable, a) {
			return fmt.Errorf("postgres: open: no weakness is called %q", string(a))
		}
	}
	return nil
}

// accept takes out the findings that the caller accepts, and says so once.
func accept(ctx context.Context, o *Options, found []Finding) []Finding {
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	for _, w := range acceptable {
		is := func(f Finding) bool { return f.Weakness == w }
		if slices.Contains(o.Unsafe, w) && slices.ContainsFunc(found, is) {
			var what []string
			for _, f := range found {
				if is(f) {
					what = append(what, f.What)
				}
			}
			found = slices.DeleteFunc(found, is)
			logger.WarnContext(ctx, "postgres: a weakness of the database is accepted",
				slog.String("weakness", string(w)), slog.String("found", strings.Join(what, "; ")))
		}
	}
	return found
}
