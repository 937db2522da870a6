package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
)

// Finding is one thing for which [Open] refuses a database.
type Finding struct {
	What string // names roles, tables and settings; never data
	Mend string // what to do about it
	// Weakness is the name by which [Options.Unsafe] accepts it; "" for what
	// cannot be accepted.
	Weakness Weakness
}

// RefusedError says why a database is not safe to work with: everything that
// was found, not the first thing.
type RefusedError struct {
	// Findings is the complete list; it is never empty.
	Findings []Finding
}

// Error lists all findings.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "postgres: open refused: %d finding(s)", len(e.Findings))
	for _, f := range e.Findings {
		fmt.Fprintf(&b, "\n- %s; mend: %s", f.What, f.Mend)
	}
	return b.String()
}

// check is a look at the catalogue: each row that it returns is a finding.
type check struct {
	query string // $1 is the list of declared tables
	mend  string
}

// roleChecks run under each of the two logins.
//
//nolint:gochecknoglobals // a table of constants
var roleChecks = []check{
	{
		`SELECT 'role ' || current_user || ' is, or is a member of, ' || rolname || ', which steps over row-level security'
		FROM pg_catalog.pg_roles WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER') AND $1::text[] IS NOT NULL`,
		"open with the logins that postgres.Setup made",
	},
	{
		`SELECT 'role ' || current_user || ' may create roles' FROM pg_catalog.pg_roles
		WHERE rolname = current_user AND rolcreaterole AND $1::text[] IS NOT NULL`,
		"ALTER ROLE … NOCREATEROLE",
	},
	{
		`SELECT 'role ' || current_user || ' owns table ' || c.oid::regclass FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
		AND c.relnamespace::regnamespace::text NOT LIKE 'pg_%' AND pg_has_role(current_user, c.relowner, 'MEMBER') AND $1::text[] IS NOT NULL`,
		"tables belong to the owner role that postgres.Setup made: ALTER TABLE … OWNER TO …",
	},
	{
		`SELECT 'role ' || current_user || ' may create in database ' || current_database() || ' (' || p || ')'
		FROM unnest(ARRAY['CREATE', 'TEMP']) p WHERE has_database_privilege(current_database(), p) AND $1::text[] IS NOT NULL`,
		"REVOKE ALL ON DATABASE … FROM PUBLIC and from the role, then GRANT CONNECT",
	},
	{
		`SELECT 'role ' || current_user || ' may create in schema ' || nspname FROM pg_catalog.pg_namespace
		WHERE nspname NOT LIKE 'pg_%' AND has_schema_privilege(oid, 'CREATE') AND $1::text[] IS NOT NULL`,
		"REVOKE CREATE ON SCHEMA … FROM PUBLIC and from the role",
	},
	{
		`SELECT 'role ' || current_user || ' may ' || p || ' on ' || c.oid::regclass
		FROM pg_catalog.pg_class c, unnest(ARRAY['TRUNCATE', 'TRIGGER', 'REFERENCES']) p
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
		AND c.relnamespace::regnamespace::text NOT LIKE 'pg_%' AND has_table_privilege(c.oid, p) AND $1::text[] IS NOT NULL`,
		"SELECT art32.protect('…') for a table of tenants; else REVOKE it",
	},
}

// strangers finds what a login is a member of beside the group of its kind. The
// app login in the group of the library could name any tenant.
func strangers(group string) check {
	return check{
		`SELECT 'role ' || current_user || ' is a member of ' || r.rolname FROM pg_catalog.pg_roles r, pg_catalog.pg_roles me
		WHERE me.rolname = current_user AND NOT me.rolsuper AND r.rolname NOT IN (current_user, '` + group + `')
		AND pg_has_role(current_user, r.oid, 'MEMBER') AND $1::text[] IS NOT NULL`,
		"REVOKE it, or open with the logins that postgres.Setup made",
	}
}

// libraryChecks run under the library login.
//
//nolint:gochecknoglobals // a table of constants
var libraryChecks = []check{strangers("art32_library")}

// acrossChecks run under the across login, where there is one.
//
//nolint:gochecknoglobals // a table of constants
var acrossChecks = []check{
	strangers("art32_across"),
	{
		`SELECT 'role ' || current_user || ' may write to ' || c.oid::regclass FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('r', 'p', 'v', 'f') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
		AND c.relnamespace::regnamespace::text NOT LIKE 'pg_%' AND has_schema_privilege(c.relnamespace, 'USAGE')
		AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')) AND $1::text[] IS NOT NULL`,
		"REVOKE it: it reads over tenants",
	},
	{
		`SELECT 'role ' || current_user || ' reads ' || c.oid::regclass || ' without an access' FROM pg_catalog.pg_class c
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
		AND c.relnamespace::regnamespace::text NOT LIKE 'pg_%' AND has_schema_privilege(c.relnamespace, 'USAGE')
		AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'art32_across_guard' AND NOT p.polpermissive AND c.relrowsecurity AND c.relforcerowsecurity)
		AND $1::text[] IS NOT NULL`,
		"SELECT art32.protect('…') in a migration, or REVOKE it",
	},
}

// untouched is a table that nothing of the library was ever given: no policy, and
// no right to any of its logins.
const untouched = `(NOT EXISTS (SELECT FROM pg_catalog.pg_policy own WHERE own.polrelid = c.oid AND own.polname LIKE 'art32\_%')
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles login
		WHERE (login.rolname = current_user OR NOT login.rolsuper AND (pg_has_role(login.oid, 'art32_library', 'USAGE') OR pg_has_role(login.oid, 'art32_across', 'USAGE')))
		AND (has_table_privilege(login.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(login.oid, c.oid, 'SELECT, INSERT, UPDATE'))))`

// admitEvent is the function by which events of callers' transactions come into the
// log; 0 where the log is another.
const admitEvent = `coalesce(to_regprocedure('art32.admit_event(uuid, bigint, uuid, bigint, text, uuid, smallint, bytea, bytea, uuid[], bytea[], text)')::oid, 0::oid)`

// hasTrigger says that table c has trigger p of the pattern, whatever its name.
const hasTrigger = `EXISTS (SELECT FROM pg_catalog.pg_trigger x WHERE x.tgrelid = c.oid AND x.tgfoid = p.tgfoid AND x.tgtype = p.tgtype
	AND x.tgenabled IN ('O', 'A') AND x.tgdeferrable = p.tgdeferrable AND x.tginitdeferred = p.tginitdeferred
	AND pg_get_expr(x.tgqual, x.tgrelid) IS NOT DISTINCT FROM pg_get_expr(p.tgqual, p.tgrelid))`

// appChecks run under the app login.
//
//nolint:gochecknoglobals // a table of constants
var appChecks = []check{
	strangers("art32_app"),
	{
		`SELECT 'table ' || c.oid::regclass || ' can be reached and has no forced row-level security'
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_%'
		AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE'))
		AND has_schema_privilege(n.oid, 'USAGE')
		AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND $1::text[] IS NOT NULL`,
		"SELECT art32.protect('…') in a migration, for each partition too; a foreign table cannot be kept apart: REVOKE it",
	},
	{
		// art32.pattern is a table that art32.protect was called for: the policies
		// must be its policies to the letter, but for the tenant's column.
		`SELECT 'table ' || c.oid::regclass || ' lacks policy ' || p.polname || ' as art32.protect makes it'
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		CROSS JOIN pg_catalog.pg_policy p
		WHERE p.polrelid = 'art32.pattern'::regclass
		AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('art32', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_%'
		AND has_schema_privilege(n.oid, 'USAGE')
		AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')
			OR c.oid IN (SELECT to_regclass(t) FROM unnest($1::text[]) t) AND NOT ` + untouched + `)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy x WHERE x.polrelid = c.oid AND x.polname = p.polname
			AND x.polpermissive = p.polpermissive AND x.polcmd = p.polcmd AND x.polroles = p.polroles
			AND regexp_replace(pg_get_expr(x.polqual, x.polrelid), '^[(]("([^"]|"")+"|\S+) = ', '(tenant_id = ') = pg_get_expr(p.polqual, p.polrelid)
			AND regexp_replace(pg_get_expr(x.polwithcheck, x.polrelid), '^[(]("([^"]|"")+"|\S+) = ', '(tenant_id = ') IS NOT DISTINCT FROM pg_get_expr(p.polwithcheck, p.polrelid))`,
		"SELECT art32.protect('…') in a migration",
	},
	{
		// The pattern has the triggers, too.
		`SELECT 'table ' || c.oid::regclass || ' lacks trigger ' || p.tgname || ' as art32.protect makes it'
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		CROSS JOIN pg_catalog.pg_trigger p
		WHERE p.tgrelid = 'art32.pattern'::regclass
		AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('art32', 'pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_%'
		AND has_schema_privilege(n.oid, 'USAGE')
		AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'INSERT, UPDATE'))
		AND NOT ` + hasTrigger + ` AND $1::text[] IS NOT NULL`,
		"SELECT art32.protect('…') in a migration",
	},
	{
		`SELECT 'table ' || t || ' is declared and not there' FROM unnest($1::text[]) t WHERE to_regclass(t) IS NULL`,
		"write the migration that creates it, and apply it",
	},
	{
		`SELECT 'view ' || c.oid::regclass || ' reads with the rights of its owner'
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.oid <> to_regclass('art32.ctx')
		AND has_schema_privilege(n.oid, 'USAGE')
		AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE'))
		AND (c.relkind = 'm' OR NOT coalesce((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions)
			WHERE option_name = 'security_invoker'), false))
		AND $1::text[] IS NOT NULL`,
		"ALTER VIEW … SET (security_invoker = true); a materialised view cannot be kept apart: REVOKE it",
	},
	{
		`SELECT 'function ' || p.oid::regprocedure || ' runs with the rights of its owner'
		FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.oid NOT IN ('art32.sealed_part(int)'::regprocedure, 'art32.open_context(text, uuid)'::regprocedure, ` + admitEvent + `)
		AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AND $1::text[] IS NOT NULL`,
		"ALTER FUNCTION … SECURITY INVOKER, or REVOKE EXECUTE … FROM PUBLIC",
	},
	{
		`SELECT 'role ' || current_user || ' may write to ' || c.oid::regclass
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'f') AND n.nspname IN ('art32', 'art32_keys') AND has_schema_privilege(n.oid, 'USAGE')
		AND (has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE') OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')) AND $1::text[] IS NOT NULL`,
		"REVOKE it: callers' text writes to no table of the library",
	},
	{
		`SELECT 'the server logs statements with their parameters' WHERE current_setting('log_parameter_max_length') <> '0'
		AND (current_setting('log_statement') <> 'none' OR current_setting('log_min_duration_statement') <> '-1'
			OR current_setting('log_min_duration_sample') <> '-1') AND $1::text[] IS NOT NULL`,
		"ALTER DATABASE … SET log_parameter_max_length = 0, as superuser",
	},
}

// Inspect looks at a database as [Open] does, without opening it, and lists what
// Open would refuse, also what [Options.Unsafe] could accept. A nil schema checks
// the policies of all tables that the app login can reach; the columns of none.
func Inspect(ctx context.Context, logins Logins, schema tenancy.Schema, o *SetupOptions) ([]Finding, error) {
	c, err := logins.Configs()
	if err != nil {
		return nil, err
	}
	e, err := connect(ctx, c, &Options{})
	if err == nil {
		err = errors.Join(e.inspect(ctx, schema, o.lines(nil), &Options{}), e.Close())
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Findings, nil
	}
	return nil, err
}

// inspect refuses a database that would not keep tenants apart.
func (e *pgEngine) inspect(ctx context.Context, schema tenancy.Schema, lines []tenancy.Line, o *Options) error {
	findings, err := unfinished(ctx, e.platform)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return &RefusedError{Findings: findings}
	}
	if findings, err = e.pending(ctx, lines); err != nil {
		return err
	}
	if len(findings) > 0 { // what the checks look for may not be there yet
		return &RefusedError{Findings: findings}
	}
	if findings, err = e.settings(ctx); err != nil {
		return err
	}
	more, err := e.look(ctx, schema)
	if err == nil {
		more = accept(ctx, o, more)
	}
	if findings = append(findings, more...); len(findings) > 0 {
		return &RefusedError{Findings: findings} // a setting can be why the look failed
	}
	return err
}

// settings lists what is set for one of the logins alone. Whoever holds its
// password can set that, also so that nothing works any more: the library's login
// looks for both.
func (e *pgEngine) settings(ctx context.Context) ([]Finding, error) {
	out, err := findings(ctx, e.platform, "ALTER ROLE … RESET ALL, and where a database is named, ALTER ROLE … IN DATABASE … RESET ALL",
		`SELECT 'setting for role ' || r.rolname || coalesce(' in database ' || d.datname, '') || ': ' || split_part(c.setting, '=', 1)
		FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
		LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c(setting)
		WHERE r.rolname = ANY ($1::text[])`, e.users())
	if err != nil {
		return nil, fmt.Errorf("postgres: open: inspect: %w", translate(err, false))
	}
	return out, nil
}

// users are the names of the logins.
func (e *pgEngine) users() []string {
	all := []string{e.configs.Library.ConnConfig.User, e.configs.App.ConnConfig.User}
	if e.configs.Across != nil {
		all = append(all, e.configs.Across.ConnConfig.User)
	}
	return all
}

// look runs all checks.
func (e *pgEngine) look(ctx context.Context, schema tenancy.Schema) (findings []Finding, err error) {
	app := plainDB(e.configs.App)
	defer app.Close()
	if findings, err = e.oneDatabase(ctx, app); err != nil || len(findings) > 0 {
		return findings, err
	}
	tables := declared(schema)
	type look struct {
		db     *sql.DB
		checks []check
	}
	looks := []look{{e.platform, roleChecks}, {e.platform, libraryChecks}, {app, roleChecks}, {app, appChecks}}
	if e.across != nil {
		across := plainDB(e.configs.Across)
		defer across.Close()
		looks = append(looks, look{across, roleChecks}, look{across, acrossChecks})
	}
	for _, l := range looks {
		for _, c := range l.checks {
			more, err := c.run(ctx, l.db, tables)
			if err != nil {
				return findings, fmt.Errorf("postgres: open: inspect: %w", translate(err, false))
			}
			findings = append(findings, more...)
		}
	}
	missing, err := missingColumns(ctx, app, schema)
	if err != nil {
		return findings, fmt.Errorf("postgres: open: inspect: %w", translate(err, false))
	}
	soft, err := weak(ctx, app, tables)
	if err != nil {
		return findings, fmt.Errorf("postgres: open: inspect: %w", translate(err, false))
	}
	return slices.Concat(findings, missing, soft), nil
}

// oneDatabase finds logins that lead to two databases: what is written under one would
// be looked for under the other.
func (e *pgEngine) oneDatabase(ctx context.Context, app *sql.DB) ([]Finding, error) {
	var at [2]string
	for i, db := range []*sql.DB{e.platform, app} {
		err := db.QueryRowContext(ctx, `SELECT d.oid || ' ' || d.datname || ' ' || pg_catalog.pg_postmaster_start_time()
			FROM pg_catalog.pg_database d WHERE d.datname = current_database()`).Scan(&at[i])
		if err != nil {
			return nil, fmt.Errorf("postgres: open: inspect: %w", translate(err, false))
		}
	}
	if at[0] == at[1] {
		return nil, nil
	}
	return []Finding{{
		What: "the library login and the app login lead to two databases",
		Mend: "open with the logins that one postgres.Setup made",
	}}, nil
}

// declared names the tables of the schema with their PostgreSQL schema.
func declared(schema tenancy.Schema) []string {
	names := make([]string, len(schema))
	for i, t := range schema {
		if names[i] = t.Name(); !strings.Contains(names[i], ".") {
			names[i] = "public." + names[i]
		}
	}
	return names
}

func (c check) run(ctx context.Context, db *sql.DB, tables []string) ([]Finding, error) {
	return findings(ctx, db, c.mend, c.query, tables)
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// findings reads the rows of a query: what was found, and in a second column, if
// there is one, what to do about it in place of mend.
func findings(ctx context.Context, db querier, mend, query string, args ...any) (out []Finding, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		f := Finding{Mend: mend}
		if err := rows.Scan([]any{&f.What, &f.Mend}[:len(columns)]...); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// missingColumns compares the tables with their declaration.
func missingColumns(ctx context.Context, db *sql.DB, schema tenancy.Schema) ([]Finding, error) {
	var tables, columns []string
	names := declared(schema)
	for i, t := range schema.Info() {
		for _, c := range t.Columns {
			for _, col := range []string{c.Name, c.Index} {
				if col != "" {
					tables, columns = append(tables, names[i]), append(columns, col)
				}
			}
		}
	}
	return findings(ctx, db, "write the migration that adds it, and apply it",
		`SELECT 'column ' || d.t || '.' || d.c || ' is declared and not there'
		FROM unnest($1::text[], $2::text[]) d(t, c) JOIN pg_catalog.pg_class c ON c.oid = to_regclass(d.t) AND NOT `+untouched+`
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = to_regclass(d.t) AND a.attname = d.c AND a.attnum > 0 AND NOT a.attisdropped)`,
		tables, columns)
}
