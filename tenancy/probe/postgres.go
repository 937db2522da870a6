package probe

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// pgTables are the declared tables ($1 names, $2 columns of the tenant, $3 keys),
// those that carry the library's policy, and the partitions and heirs of both.
const pgTables = `WITH RECURSIVE given AS (
	SELECT to_regclass(t)::oid AS id, tenant, key, true AS declared FROM unnest($1::text[], $2::text[], $3::text[]) d(t, tenant, key)
), known AS (
	SELECT id, tenant, key, declared, id AS root FROM given WHERE id IS NOT NULL
	UNION ALL
	SELECT p.polrelid, a.attname::text, '', false, p.polrelid FROM pg_catalog.pg_policy p
		JOIN pg_catalog.pg_attribute a ON a.attrelid = p.polrelid AND a.attnum > 0
		AND pg_get_expr(p.polqual, p.polrelid) LIKE '(' || quote_ident(a.attname) || ' = %'
	WHERE p.polname = 'art32_library' AND p.polrelid <> to_regclass('art32.pattern') AND p.polrelid NOT IN (SELECT id FROM given WHERE id IS NOT NULL)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = p.polrelid)
	UNION ALL
	SELECT i.inhrelid, k.tenant, k.key, false, k.root FROM known k JOIN pg_catalog.pg_inherits i ON i.inhparent = k.id
)
SELECT k.id::text, k.id::regclass::text, quote_ident(k.tenant),
	coalesce(quote_ident(nullif(k.key, '')), (SELECT quote_ident(a.attname) FROM pg_catalog.pg_index x
		JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])
		WHERE x.indrelid = k.id AND x.indisprimary AND a.attname <> k.tenant ORDER BY a.attnum LIMIT 1), ''),
	(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = k.id AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
	coalesce((SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_index x
		JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey::int2[])
		WHERE x.indrelid = k.id AND x.indisprimary), ''),
	k.declared::text, k.root::regclass::text, (k.root <> k.id)::text
FROM known k ORDER BY k.declared DESC, 2`

func (p *prober) sqlite() bool { return p.eng.Dialect() == migrate.SQLite }

// preparePostgres finds the tables and what A and B have in them.
func (p *prober) preparePostgres(ctx context.Context, infos []tenancy.TableInfo) error {
	about, err := p.texts(ctx, uuid.Nil, 2, "SELECT current_setting('server_version'), current_setting('server_version_num')")
	if err != nil {
		return err
	}
	p.version = about[0][0]
	if p.number, err = strconv.Atoi(about[0][1]); err != nil {
		return err
	}
	var lists [3][]any
	for _, in := range infos {
		name := in.Name
		if !strings.Contains(name, ".") {
			name = "public." + name
		}
		for i, s := range []string{name, in.Tenant, keyOf(in)} {
			lists[i] = append(lists[i], s)
		}
	}
	var args []any
	for _, l := range lists {
		text, err := engine.List(migrate.Postgres, l)
		if err != nil {
			return err
		}
		args = append(args, text)
	}
	rows, err := p.texts(ctx, uuid.Nil, 9, pgTables, args...)
	if err != nil {
		return err
	}
	for _, r := range rows {
		t := table{name: r[1], sql: r[1], tenant: r[2], key: r[3], columns: r[4], conflict: r[5], declared: r[6] == "true"}
		if err := p.measure(ctx, &t, r[7], r[8] == "true", r[0]); err != nil {
			return err
		}
		p.tables = append(p.tables, t)
	}
	return nil
}

// measure counts what A and B have in a table, of a partition by its root.
func (p *prober) measure(ctx context.Context, t *table, root string, part bool, id string) error {
	where := ""
	if part {
		where = " AND tableoid = " + id
	}
	key := t.key
	if key == "" {
		key = "''"
	}
	for _, of := range []struct {
		id  uuid.UUID
		n   *int64
		row *string
	}{{p.a, &t.ofA, &t.rowA}, {p.b, &t.ofB, &t.rowB}} {
		rows, err := p.texts(ctx, of.id, 2, "SELECT count(*)::text, coalesce(min("+key+"::text), '') FROM "+root+
			" WHERE "+t.tenant+" = '"+of.id.String()+"'"+where)
		if kindOf(err) == engine.Forbidden { // the library may not read it either
			return nil
		}
		if err != nil {
			return err
		}
		if *of.n, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
			return err
		}
		*of.row = rows[0][1]
	}
	_, err := uuid.Parse(t.rowA)
	t.uuidKey = err == nil
	return nil
}
