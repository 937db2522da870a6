package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// catalogue is what a plan begins with. All names are written as SQL takes them,
// but for those of roles.
type catalogue struct {
	ready    bool  // art32 was set up
	known    int64 // the id of art32.tenants; 0 while there is none
	tables   map[int64]*tableState
	indexes  []*indexState
	foreigns []*foreignState
	seen     []viewState
	definer  []string
}

// tableState is a table.
type tableState struct {
	id, parent   int64 // parent: of a partition
	schema, name string
	plain        string // "customers" in public, else "billing.invoices"
	partitioned  bool
	rows         int64
	owner        string
	superOwned   bool
	columns      map[int16]*columnState
	roles        []roleState
	sequences    []sequenceState
	// stands says that the policies are those of art32.protect, and the rights too;
	// begun, that it has one of them.
	stands, begun bool
	policyColumn  string
	watch         string // the login; "" for none

	tenant string        // its column; "" where it has none
	added  bool          // the plan adds it
	via    *foreignState // the foreign key by which it is filled
}

type columnState struct {
	name, plain, typ string
	notNull          bool
}

// sequenceState is the sequence of a serial column.
type sequenceState struct {
	name string
	open bool // to the library's logins
}

// roleState is a login that works with a table.
type roleState struct {
	name             string
	connects, enters bool // by rights of its own
}

// indexState is an index or constraint that is unique or excludes.
type indexState struct {
	id, table        int64
	name, constraint string
	kind             string // p, u or x; "" for an index without a constraint
	keys             []int16
	oneUUID          bool
	whole            bool   // no predicate, no expression, valid, not deferrable
	deferrable       string // as it is written
	rest             string // its definition behind the opening parenthesis
	using            string // the definition before it, from USING
	valid            bool
}

// foreignState is a foreign key.
type foreignState struct {
	table, refers, index int64
	name                 string
	keys, refersTo       []int16
	tail                 string
	odd, full, valid     bool
}

// viewState is a view, and what it reads, also through others.
type viewState struct {
	name         string
	materialised bool
	invoker      bool
	reached      bool // by everybody or by the library's logins
	owner        string
	reads        []int64
}

func numbers(text string) (out []int16) {
	for s := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseInt(s, 10, 16); err == nil {
			out = append(out, int16(n))
		}
	}
	return out
}

// is reports whether a table is meant by a name of the options.
func (t *tableState) is(name string) bool {
	return t.plain == name || "public."+t.plain == name
}

// column is the name of a column by its number; 0 for none.
func (t *tableState) numberOf(column string) int16 {
	for n, c := range t.columns {
		if c.name == column {
			return n
		}
	}
	return 0
}

func (t *tableState) list(keys []int16) string {
	names := make([]string, len(keys))
	for i, n := range keys {
		names[i] = t.columns[n].name
	}
	return strings.Join(names, ", ")
}

func (c *catalogue) table(name string) *tableState {
	for _, t := range c.tables {
		if t.is(name) {
			return t
		}
	}
	return nil
}

// top is the table that a partition belongs to.
func (c *catalogue) top(t *tableState) *tableState {
	for t.parent != 0 && c.tables[t.parent] != nil {
		t = c.tables[t.parent]
	}
	return t
}

// sorted lists the tables by name, each behind what it is a partition of.
func (c *catalogue) sorted() []*tableState {
	return slices.SortedFunc(maps.Values(c.tables), func(a, b *tableState) int {
		return cmp.Or(cmp.Compare(c.top(a).name, c.top(b).name), cmp.Compare(c.depth(a), c.depth(b)), cmp.Compare(a.name, b.name))
	})
}

func (c *catalogue) depth(t *tableState) (n int) {
	for ; t.parent != 0 && c.tables[t.parent] != nil; n++ {
		t = c.tables[t.parent]
	}
	return n
}

// each runs a query and hands its rows to scan.
func each(ctx context.Context, tx *sql.Tx, query string, scan func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func readCatalogue(ctx context.Context, tx *sql.Tx) (*catalogue, error) {
	c := &catalogue{tables: map[int64]*tableState{}}
	err := tx.QueryRowContext(ctx, `SELECT to_regclass('art32.pattern') IS NOT NULL AND to_regprocedure('art32.unwatch(regclass)') IS NOT NULL,
		coalesce(to_regclass('art32.tenants')::oid::bigint, 0)`).Scan(&c.ready, &c.known)
	if err != nil {
		return nil, err
	}
	for _, read := range []func(context.Context, *sql.Tx) error{
		c.readTables, c.readColumns, c.readRoles, c.readSequences, c.readPolicies, c.readIndexes, c.readForeigns, c.readViews, c.readDefiners,
	} {
		if err := read(ctx, tx); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// foreign leaves out what belongs to the server, to the library or to an extension.
const foreign = ` n.nspname NOT IN ('pg_catalog', 'information_schema', 'art32', 'art32_keys') AND n.nspname NOT LIKE 'pg\_%'
	AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e') `

func (c *catalogue) readTables(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT c.oid::bigint, coalesce((SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition), 0),
		quote_ident(n.nspname), format('%I.%I', n.nspname, c.relname),
		CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname, c.relkind = 'p', greatest(c.reltuples, 0)::bigint,
		r.rolname::text, r.rolsuper
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
		WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND`+foreign, func(r *sql.Rows) error {
		t := &tableState{columns: map[int16]*columnState{}}
		err := r.Scan(&t.id, &t.parent, &t.schema, &t.name, &t.plain, &t.partitioned, &t.rows, &t.owner, &t.superOwned)
		c.tables[t.id] = t
		return err
	})
}

func (c *catalogue) readColumns(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT a.attrelid::bigint, a.attnum, quote_ident(a.attname), a.attname::text, format_type(a.atttypid, NULL), a.attnotnull
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND`+foreign, func(r *sql.Rows) error {
		var id int64
		var n int16
		col := &columnState{}
		err := r.Scan(&id, &n, &col.name, &col.plain, &col.typ, &col.notNull)
		if t := c.tables[id]; t != nil {
			t.columns[n] = col
		}
		return err
	})
}

// readRoles lists who works with a table, apart from superusers and the library.
func (c *catalogue) readRoles(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT DISTINCT c.oid::bigint, quote_ident(r.rolname),
		EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = current_database()
			AND (a.grantee = r.oid OR d.datdba = r.oid) AND a.privilege_type = 'CONNECT'),
		EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.privilege_type = 'USAGE' AND a.grantee = r.oid) OR n.nspowner = r.oid
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_roles r ON NOT r.rolsuper AND r.rolname NOT IN ('art32_library', 'art32_app', 'art32_across')
			AND r.rolname NOT LIKE 'pg\_%' AND NOT r.rolbypassrls
			AND (r.oid = c.relowner OR EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = r.oid))
		WHERE c.relkind IN ('r', 'p') AND`+foreign+`ORDER BY 1, 2`, func(r *sql.Rows) error {
		var id int64
		var role roleState
		err := r.Scan(&id, &role.name, &role.connects, &role.enters)
		if t := c.tables[id]; t != nil {
			t.roles = append(t.roles, role)
		}
		return err
	})
}

func (c *catalogue) readSequences(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT d.refobjid::bigint, format('%I.%I', n.nspname, c.relname), 2 = (SELECT count(DISTINCT r.oid)
			FROM aclexplode(c.relacl) a JOIN pg_roles r ON r.oid = a.grantee WHERE r.rolname IN ('art32_library', 'art32_app') AND a.privilege_type = 'USAGE')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a'
		WHERE c.relkind = 'S' ORDER BY 2`, func(r *sql.Rows) error {
		var id int64
		var s sequenceState
		err := r.Scan(&id, &s.name, &s.open)
		if t := c.tables[id]; t != nil {
			t.sequences = append(t.sequences, s)
		}
		return err
	})
}

// readPolicies compares with art32.pattern, as Open does.
func (c *catalogue) readPolicies(ctx context.Context, tx *sql.Tx) error {
	if !c.ready {
		return nil
	}
	return each(ctx, tx, `SELECT c.oid::bigint, quote_ident(a.attname),
		c.relrowsecurity AND c.relforcerowsecurity AND NOT EXISTS (
			SELECT FROM pg_policy p WHERE p.polrelid = 'art32.pattern'::regclass AND NOT EXISTS (
				SELECT FROM pg_policy x WHERE x.polrelid = c.oid AND x.polname = p.polname
				AND x.polpermissive = p.polpermissive AND x.polcmd = p.polcmd AND x.polroles = p.polroles
				AND pg_get_expr(x.polqual, x.polrelid) = replace(pg_get_expr(p.polqual, p.polrelid), '(tenant_id = ', '(' || quote_ident(a.attname) || ' = ')
				AND pg_get_expr(x.polwithcheck, x.polrelid) IS NOT DISTINCT FROM replace(pg_get_expr(p.polwithcheck, p.polrelid), '(tenant_id = ', '(' || quote_ident(a.attname) || ' = ')))
		AND NOT EXISTS (SELECT FROM pg_trigger p WHERE p.tgrelid = 'art32.pattern'::regclass AND NOT `+hasTrigger+`)
		AND NOT EXISTS (SELECT FROM unnest(ARRAY['art32_app', 'art32_library']) r(role), unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(may)
			WHERE NOT has_table_privilege(role, c.oid, may))
		AND has_table_privilege('art32_across', c.oid, 'SELECT')
		AND NOT has_table_privilege('art32_across', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES')
		AND NOT has_table_privilege('art32_app', c.oid, 'TRUNCATE, TRIGGER, REFERENCES')
		AND NOT has_table_privilege('art32_library', c.oid, 'TRUNCATE, TRIGGER, REFERENCES'),
		coalesce((SELECT pg_get_userbyid(w.polroles[1])::text FROM pg_policy w WHERE w.polrelid = c.oid AND w.polname = 'art32_unsafe_watch'), '')
		FROM pg_class c
		LEFT JOIN LATERAL (SELECT a.attname FROM pg_attribute a, pg_policy p WHERE a.attrelid = c.oid AND a.attnum > 0 AND p.polrelid = c.oid
			AND p.polname LIKE 'art32\_%' AND starts_with(pg_get_expr(p.polqual, p.polrelid), '(' || quote_ident(a.attname) || ' = ')
			ORDER BY p.polname LIMIT 1) a ON true
		WHERE c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname LIKE 'art32\_%')`, func(r *sql.Rows) error {
		var id int64
		var column sql.NullString
		var stands sql.NullBool
		var watch string
		err := r.Scan(&id, &column, &stands, &watch)
		if t := c.tables[id]; t != nil {
			t.begun, t.stands, t.policyColumn, t.watch = true, stands.Bool, column.String, watch
		}
		return err
	})
}

func (c *catalogue) readIndexes(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT x.indexrelid::bigint, x.indrelid::bigint, format('%I.%I', n.nspname, i.relname), coalesce(quote_ident(k.conname), ''),
		coalesce(k.contype::text, ''), array_to_string((x.indkey::int2[])[0:x.indnkeyatts - 1], ','),
		x.indisunique AND x.indnkeyatts = 1 AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = x.indkey[0] AND a.atttypid = 'uuid'::regtype),
		x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL, x.indisvalid,
		CASE WHEN k.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END,
		CASE WHEN x.indisexclusion THEN substr(pg_get_constraintdef(k.oid), length(format('EXCLUDE USING %I (', m.amname)) + 1)
			ELSE substr(pg_get_indexdef(i.oid), length(format('CREATE UNIQUE INDEX %I ON %s%I.%I USING %I (',
				i.relname, CASE c.relkind WHEN 'p' THEN 'ONLY ' ELSE '' END, n.nspname, c.relname, m.amname)) + 1) END,
		format('USING %I (', m.amname)
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_am m ON m.oid = i.relam LEFT JOIN pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')
		WHERE (x.indisunique OR x.indisexclusion) AND NOT i.relispartition AND`+foreign+`ORDER BY 3`, func(r *sql.Rows) error {
		x := &indexState{}
		var keys string
		err := r.Scan(&x.id, &x.table, &x.name, &x.constraint, &x.kind, &keys, &x.oneUUID, &x.whole, &x.valid, &x.deferrable, &x.rest, &x.using)
		x.keys = numbers(keys)
		if c.tables[x.table] != nil {
			c.indexes = append(c.indexes, x)
		}
		return err
	})
}

func (c *catalogue) readForeigns(ctx context.Context, tx *sql.Tx) error {
	const names = `(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY o.n) FROM unnest(coalesce(f.confdelsetcols, f.conkey)) WITH ORDINALITY o(key, n)
		JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = o.key)`
	return each(ctx, tx, `SELECT f.conrelid::bigint, f.confrelid::bigint, f.conindid::bigint, quote_ident(f.conname),
		array_to_string(f.conkey, ','), array_to_string(f.confkey, ','),
		CASE f.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END
		|| CASE f.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
			WHEN 'n' THEN ' ON DELETE SET NULL (' || `+names+` || ')' WHEN 'd' THEN ' ON DELETE SET DEFAULT (' || `+names+` || ')' ELSE '' END
		|| CASE WHEN f.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED' WHEN f.condeferrable THEN ' DEFERRABLE' ELSE '' END,
		f.confupdtype IN ('n', 'd'), f.confmatchtype = 'f', f.convalidated
		FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0 ORDER BY f.conname, f.oid`, func(r *sql.Rows) error {
		f := &foreignState{}
		var own, other string
		err := r.Scan(&f.table, &f.refers, &f.index, &f.name, &own, &other, &f.tail, &f.odd, &f.full, &f.valid)
		f.keys, f.refersTo = numbers(own), numbers(other)
		if c.tables[f.table] != nil {
			c.foreigns = append(c.foreigns, f)
		}
		return err
	})
}

func (c *catalogue) readViews(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `WITH RECURSIVE direct AS (
			SELECT DISTINCT r.ev_class AS view, d.refobjid AS rel FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
				AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
		), reads AS (SELECT view, rel FROM direct UNION SELECT a.view, d.rel FROM reads a JOIN direct d ON d.view = a.rel)
		SELECT format('%I.%I', n.nspname, c.relname), c.relkind = 'm',
		coalesce((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions) WHERE option_name = 'security_invoker'), false),
		EXISTS (SELECT FROM aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE a.grantee = 0 OR r.rolname IN ('art32_app', 'art32_library', 'art32_across')),
		pg_get_userbyid(c.relowner)::text, (SELECT string_agg(rel::bigint::text, ',') FROM reads WHERE view = c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('v', 'm') AND c.oid IN (SELECT view FROM reads) AND`+foreign+`ORDER BY 1`, func(r *sql.Rows) error {
		var v viewState
		var reads string
		err := r.Scan(&v.name, &v.materialised, &v.invoker, &v.reached, &v.owner, &reads)
		for s := range strings.SplitSeq(reads, ",") {
			id, _ := strconv.ParseInt(s, 10, 64) // 0 is no table
			v.reads = append(v.reads, id)
		}
		c.seen = append(c.seen, v)
		return err
	})
}

// readDefiners lists the functions that the library's logins may call.
func (c *catalogue) readDefiners(ctx context.Context, tx *sql.Tx) error {
	return each(ctx, tx, `SELECT c.oid::regprocedure::text FROM pg_proc c JOIN pg_namespace n ON n.oid = c.pronamespace
		WHERE c.prosecdef AND (c.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(c.proacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
			WHERE a.privilege_type = 'EXECUTE' AND (a.grantee = 0 OR r.rolname IN ('art32_app', 'art32_library', 'art32_across'))))
		AND`+strings.ReplaceAll(foreign, "pg_class", "pg_proc")+`ORDER BY 1`, func(r *sql.Rows) error {
		var name string
		err := r.Scan(&name)
		c.definer = append(c.definer, name)
		return err
	})
}
