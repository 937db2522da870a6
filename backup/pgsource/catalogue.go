package pgsource

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/art32/art32/backup"
)

// relations are all relations that hold data of their own, partitions apart,
// which are read with their table. The tenant's column of a protected table is
// the one that its policy speaks of.
const relations = `
SELECT n.nspname::text, c.relname::text, c.relkind::text, coalesce(x.extname::text, ''),
	EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE c.oid = ANY (e.extconfig)),
	ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum),
	EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'art32_library'),
	ARRAY(SELECT DISTINCT a.attname::text FROM pg_catalog.pg_policy p
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
		WHERE p.polrelid = c.oid AND p.polname = 'art32_library' AND a.atttypid = 'uuid'::regtype),
	has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
	AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
LEFT JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition AND ` + ours + `
ORDER BY 1, 2`

// ours are the schemas that are not the server's.
const ours = `n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'`

// relation is a row of relations.
type relation struct {
	Schema, Name, Kind, Extension string
	Config                        bool // the extension says that its rows are the user's
	Columns                       []string
	Protected                     bool
	Policy                        []string // the columns of type uuid in the policy of art32.protect
	Readable                      bool
}

func (r *relation) table() table {
	return table{Schema: r.Schema, Name: r.Name, Columns: r.Columns, Tenant: r.tenant(), Partitioned: r.Kind == "p"}
}

// tenant is the column that says whose a row is; "" where there is none.
func (r *relation) tenant() string {
	switch {
	case r.Schema == "art32": // the library's own: of the platform where no tenant is named
		if slices.Contains(r.Columns, "tenant_id") {
			return "tenant_id"
		}
		return ""
	case r.Protected && len(r.Policy) == 1 && slices.Contains(r.Columns, r.Policy[0]):
		return r.Policy[0]
	}
	return ""
}

const keystoreSchema = "art32_keys"

// never are the tables of the library's own that no backup carries.
var never = map[string]string{
	"art32.sessions":   "a restore ends all sessions",
	"art32.leases":     "a restore ends all leases",
	"art32.seal_keys":  "the key of the seal is drawn anew",
	"art32.migrations": "written by the migrations, which the backup carries",
	"art32.pattern":    "made by the migrations, and always empty",
}

// reason says why a backup leaves a relation out; "" where it carries it.
func (r *relation) reason(exclude map[string]string) string {
	name := r.Schema + "." + r.Name
	switch {
	case exclude[name] != "":
		return exclude[name]
	case never[name] != "":
		return never[name]
	case r.Schema == keystoreSchema:
		return "the keystore is copied apart"
	case r.Extension != "" && !r.Config:
		return "made by the extension " + r.Extension
	case r.Kind == "m":
		return "a materialized view is made anew"
	case r.Kind == "f":
		return "the rows of a foreign table lie on another server"
	case len(r.Columns) == 0:
		return "the table has no column to carry"
	}
	return ""
}

// catalogue is what the database holds.
type catalogue struct {
	all      []relation
	tables   []table // carried
	excluded []backup.Excluded
}

func readCatalogue(ctx context.Context, conn *pgx.Conn, exclude map[string]string) (*catalogue, error) {
	rows, err := conn.Query(ctx, relations)
	if err != nil {
		return nil, err
	}
	c := &catalogue{}
	if c.all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[relation]); err != nil {
		return nil, err
	}
	for _, r := range c.all {
		t := r.table()
		if reason := r.reason(exclude); reason != "" {
			c.excluded = append(c.excluded, backup.Excluded{Table: t.label(), Reason: reason})
		} else {
			c.tables = append(c.tables, t)
		}
	}
	if reason := exclude[largeObjects]; reason != "" {
		c.excluded = append(c.excluded, backup.Excluded{Table: largeObjects, Reason: reason})
	}
	slices.SortFunc(c.excluded, func(a, b backup.Excluded) int { return cmp.Compare(a.Table, b.Table) })
	return c, nil
}

// keystore are the tables of the keystore.
func (c *catalogue) keystore() (out []table) {
	for _, r := range c.all {
		if r.Schema == keystoreSchema {
			out = append(out, r.table())
		}
	}
	return out
}

// left says why "schema.table" is left out; "" where it is carried.
func (c *catalogue) left(name string, exclude map[string]string) string {
	i := slices.IndexFunc(c.all, func(r relation) bool { return r.Schema+"."+r.Name == name })
	if i < 0 {
		return ""
	}
	return c.all[i].reason(exclude)
}

// has reports whether there is a relation, and the login may read it.
func (c *catalogue) has(schema, name string) bool {
	return slices.ContainsFunc(c.all, func(r relation) bool { return r.Schema == schema && r.Name == name && r.Readable })
}

// problems lists why the relations as they are could not be carried.
func (c *catalogue) problems(login string, exclude map[string]string) (out []finding) {
	for i := range c.all {
		r := &c.all[i]
		t := r.table()
		if why := r.reason(exclude); why != "" {
			continue
		}
		if !r.Readable {
			out = append(out, unreadable(login, r.Schema, "TABLE", &t))
		}
		if r.Protected && t.Tenant == "" && r.Schema != "art32" {
			out = append(out, finding{
				what: "table " + t.label() + ": its policy does not say by which column its rows are a tenant's",
				mend: "SELECT art32.protect('" + t.label() + "', 'the column')",
			})
		}
		if r.Config {
			out = append(out, finding{
				what: "table " + t.label() + " is made by the extension " + r.Extension + " and holds rows of yours",
				mend: "name it in Options.Exclude",
			})
		}
		if strings.ContainsFunc(r.Schema+r.Name+strings.Join(r.Columns, ""), func(c rune) bool { return c < ' ' || c == 0x7f }) {
			out = append(out, finding{what: fmt.Sprintf("table %s: a name holds a control character", t.label()), mend: "rename it"})
		}
	}
	return append(out, c.unknown(exclude)...)
}

// unknown finds what is excluded and not there: a name that was misspelt.
func (c *catalogue) unknown(exclude map[string]string) (out []finding) {
	for name := range exclude {
		there := slices.ContainsFunc(c.all, func(r relation) bool { return r.Schema+"."+r.Name == name })
		if !there && name != largeObjects {
			out = append(out, finding{what: "there is no table " + name, mend: "remove it from Options.Exclude"})
		}
	}
	slices.SortFunc(out, func(a, b finding) int { return cmp.Compare(a.what, b.what) })
	return out
}

func unreadable(login, schema, kind string, t *table) finding {
	return finding{
		what: fmt.Sprintf("login %s may not read %s", login, t.label()),
		mend: fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON %s %s TO %[2]s",
			quoted(schema), quoted(login), kind, t.quoted()),
		role: true,
	}
}
