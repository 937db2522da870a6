package pgsource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/tenancy"
)

// largeObjects is the name by which Options.Exclude accepts them.
const largeObjects = "pg_catalog.pg_largeobject"

// checks are looks at the catalogue: each row is a finding, what is wrong and a
// mend.
var checks = []struct {
	query string
	role  bool
}{
	{`SELECT 'login ' || rolname || ' does not see all rows: it is neither BYPASSRLS nor a superuser',
		format('ALTER ROLE %I BYPASSRLS; -- as superuser', rolname)
	FROM pg_catalog.pg_roles WHERE rolname = current_user AND NOT rolsuper AND NOT rolbypassrls`, true},
	{`SELECT 'login ' || current_user || ' may not read sequence ' || format('%I.%I', n.nspname, c.relname),
		format('GRANT USAGE ON SCHEMA %I TO %I; GRANT SELECT ON SEQUENCE %1$I.%3$I TO %2$I', n.nspname, current_user, c.relname)
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'S' AND ` + ours + ` AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_sequence_privilege(c.oid, 'SELECT'))
	ORDER BY 1`, true},
	{`SELECT 'partition ' || format('%I.%I', n.nspname, c.relname) || ' lies on another server', 'detach it'
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'f' AND c.relispartition AND ` + ours + ` ORDER BY 1`, false},
	{`SELECT 'the name of ' || CASE c.relkind WHEN 'S' THEN 'sequence ' ELSE 'partition ' END
		|| regexp_replace(format('%I.%I', n.nspname, c.relname), '[[:cntrl:]]', '?', 'g') || ' holds a control character', 'rename it'
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE (c.relkind = 'S' OR c.relkind IN ('r', 'p') AND c.relispartition) AND n.nspname || c.relname ~ '[[:cntrl:]]' AND ` + ours + ` ORDER BY 1`, false},
	// Rows of a tenant that would go where no tenant's key is.
	{`SELECT 'table ' || format('%I.%I', n.nspname, c.relname) || ' is part of a table with tenants, or has a part with tenants, and lacks protection itself',
		format('SELECT art32.protect(%L)', format('%I.%I', n.nspname, c.relname))
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE ` + ours + ` AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'art32_library')
	AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
		JOIN pg_catalog.pg_class o ON o.oid = CASE c.oid WHEN i.inhrelid THEN i.inhparent ELSE i.inhrelid END
		JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid AND p.polname = 'art32_library'
		WHERE i.inhrelid = c.oid AND NOT c.relispartition OR i.inhparent = c.oid AND o.relispartition)
	ORDER BY 1`, false},
}

// look runs all checks and lists everything that is wrong, not the first thing.
func (s *source) look(ctx context.Context, conn *pgx.Conn, c *catalogue) (out []finding, err error) {
	var login string
	if err := conn.QueryRow(ctx, "SELECT current_user::text").Scan(&login); err != nil {
		return nil, err
	}
	for _, check := range checks {
		rows, err := conn.Query(ctx, check.query)
		if err != nil {
			return nil, err
		}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f finding, err error) {
			f.role = check.role
			return f, r.Scan(&f.what, &f.mend)
		})
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	out = append(out, c.problems(login, s.exclude)...)
	for _, look := range []func(context.Context, *pgx.Conn, *catalogue) ([]finding, error){s.objects, s.references, s.declared} {
		found, err := look(ctx, conn, c)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// objects finds large objects, which belong to no tenant.
func (s *source) objects(ctx context.Context, conn *pgx.Conn, _ *catalogue) ([]finding, error) {
	var n int
	err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata").Scan(&n)
	if err != nil || n == 0 || s.exclude[largeObjects] != "" {
		return nil, err
	}
	return []finding{{
		what: fmt.Sprintf("%d large objects are in the database, which are no tenant's and in no table", n),
		mend: "keep them in columns of type bytea, or name " + largeObjects + " in Options.Exclude",
	}}, nil
}

// references finds foreign keys that could not hold after a restore.
func (s *source) references(ctx context.Context, conn *pgx.Conn, c *catalogue) ([]finding, error) {
	rows, err := conn.Query(ctx, `SELECT DISTINCT a.nspname || '.' || x.relname, b.nspname || '.' || y.relname
	FROM pg_catalog.pg_constraint k
	JOIN pg_catalog.pg_class x ON x.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid) JOIN pg_catalog.pg_namespace a ON a.oid = x.relnamespace
	JOIN pg_catalog.pg_class y ON y.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid) JOIN pg_catalog.pg_namespace b ON b.oid = y.relnamespace
	WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	pairs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ From, To string }])
	var out []finding
	for _, p := range pairs {
		if why := c.left(p.To, s.exclude); why != "" && c.left(p.From, s.exclude) == "" {
			out = append(out, finding{
				what: fmt.Sprintf("table %s refers to table %s, which is left out (%s)", p.From, p.To, why),
				mend: "exclude both, or none",
			})
		}
	}
	return out, err
}

// declared finds tables of the application of which no row would be carried,
// though nobody excluded them: it is another database, the login is led past
// them, or something else has their name.
func (s *source) declared(ctx context.Context, conn *pgx.Conn, c *catalogue) (out []finding, err error) {
	if !c.has("art32", "declared") {
		return nil, nil
	}
	infos, err := declaredTables(ctx, conn)
	for _, in := range infos {
		schema, name, ok := strings.Cut(in.Name, ".")
		if !ok {
			schema, name = "public", in.Name
		}
		carried := slices.ContainsFunc(c.tables, func(t table) bool { return t.Schema == schema && t.Name == name })
		if carried || s.exclude[schema+"."+name] != "" {
			continue
		}
		f := finding{
			what: "the application declares table " + in.Name + ", which is not in this database",
			mend: "give the DSN of the database that the application works with",
		}
		if why := c.left(schema+"."+name, s.exclude); why != "" {
			f.what = "the application declares table " + in.Name + ", which would be left out (" + why + ")"
			f.mend = "make it a table again, or name it in Options.Exclude"
		}
		out = append(out, f)
	}
	return out, err
}

// declaredTables are the tables as the application declared them last.
func declaredTables(ctx context.Context, conn *pgx.Conn) (infos []tenancy.TableInfo, err error) {
	rows, err := conn.Query(ctx, "SELECT info FROM art32.declared")
	if err != nil {
		return nil, err
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, t := range texts {
		if err := json.Unmarshal([]byte(t), &infos); err != nil {
			return nil, fmt.Errorf("the stored description of the application's tables is damaged: open the database with the application once")
		}
	}
	return infos, err
}

// keyless counts the tenants that have no key in a keystore: it is not theirs.
func keyless(ctx context.Context, conn *pgx.Conn, tenants []tenancy.ID) ([]finding, error) {
	ids := make([]string, len(tenants))
	for i, t := range tenants {
		ids[i] = t.UUID().String()
	}
	var n int
	err := conn.QueryRow(ctx, `SELECT count(*) FROM unnest($1::text[]::uuid[]) t
		WHERE NOT EXISTS (SELECT FROM art32_keys.keys k WHERE k.tenant_id = t)`, ids).Scan(&n)
	if err != nil || n == 0 {
		return nil, err
	}
	return []finding{{
		what: fmt.Sprintf("%d of %d tenants have no key in the keystore, so that it is not theirs", n, len(ids)),
		mend: "give Options.Keystore the DSN of the keystore",
	}}, nil
}
