package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// partition is one of a partitioned table, as it hangs there.
type partition struct {
	Name, Parent string // quoted
	Bound, Key   string // Key is " PARTITION BY …" where it has parts itself
	Tenant       string // the column by which it is protected itself
}

// partitionsQuery lists partitions from the top down: they come and go without
// migrations.
const partitionsQuery = `WITH RECURSIVE tree AS (
	SELECT c.oid, 0 AS depth FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'p' AND NOT c.relispartition AND ` + ours + `
	UNION ALL
	SELECT i.inhrelid, depth + 1 FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid
)
SELECT format('%I.%I', n.nspname, c.relname), format('%I.%I', pn.nspname, p.relname), pg_get_expr(c.relpartbound, c.oid),
	coalesce(' PARTITION BY ' || pg_get_partkeydef(c.oid), ''),
	coalesce((SELECT a.attname::text FROM pg_catalog.pg_policy p
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid
			AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
		WHERE p.polrelid = c.oid AND p.polname = 'art32_library' LIMIT 1), '')
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE depth > 0 ORDER BY depth, c.oid`

// partitions are the statements that hang partitions as they hang here. Every
// name and bound stands inside of quotation marks or is quoted itself: psql finds
// no command in it.
func (s *snapshot) partitions(ctx context.Context) (string, error) {
	rows, err := s.conn.Query(ctx, partitionsQuery)
	if err != nil {
		return "", err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[partition])
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(takeOff(all, s.catalogue.all))
	for _, p := range all {
		b.WriteString(p.hang())
	}
	return b.String(), nil
}

// hang makes a partition, or attaches the table that a migration made.
func (p partition) hang() string {
	protect := ""
	if p.Tenant != "" {
		protect = fmt.Sprintf(" PERFORM art32.protect(%s, %s);", literal(p.Name), literal(p.Tenant))
	}
	return block(fmt.Sprintf(`BEGIN IF to_regclass(%s) IS NULL THEN CREATE TABLE %s PARTITION OF %s %s%s;%s
ELSIF NOT (SELECT relispartition FROM pg_catalog.pg_class WHERE oid = to_regclass(%[1]s)) THEN ALTER TABLE %[3]s ATTACH PARTITION %[2]s %[4]s;%[6]s
END IF; END`, literal(p.Name), p.Name, p.Parent, p.Bound, p.Key, protect))
}

// takeOff takes off what the migrations hang otherwise: detached where it is a
// table still, dropped where it is none.
func takeOff(all []partition, others []relation) string {
	var names, parents, bounds, kept []string
	for _, p := range all {
		names, parents, bounds, kept = append(names, p.Name), append(parents, p.Parent), append(bounds, p.Bound), append(kept, p.Name)
	}
	for _, r := range others {
		kept = append(kept, quoted(r.Schema, r.Name))
	}
	return block(fmt.Sprintf(`DECLARE p record; BEGIN
FOR p IN SELECT c.oid, format('%%s', c.oid::regclass) AS name, i.inhparent::regclass AS parent,
	EXISTS (SELECT FROM unnest(%s) k WHERE to_regclass(k) = c.oid) AS kept
FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE c.relispartition AND c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM unnest(%s, %s, %s) w(name, parent, bound)
	WHERE to_regclass(w.name) = c.oid AND to_regclass(w.parent) = i.inhparent AND w.bound = pg_get_expr(c.relpartbound, c.oid))
ORDER BY (SELECT count(*) FROM pg_partition_ancestors(c.oid)) DESC, c.oid
LOOP
	EXECUTE format('ALTER TABLE %%s DETACH PARTITION %%s', p.parent, p.name);
	IF NOT p.kept THEN EXECUTE format('DROP TABLE %%s', p.name); END IF;
END LOOP; END`, array(kept), array(names), array(parents), array(bounds)))
}

// block is an anonymous block whose text can hold any mark.
func block(body string) string { return "DO " + literal(body) + ";\n" }

func array(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = literal(v)
	}
	return "ARRAY[" + strings.Join(out, ", ") + "]::text[]"
}

// sequences sets each sequence to where it stands. A sequence knows no
// transactions: it is never behind the rows.
func (s *snapshot) sequences(ctx context.Context) (string, error) {
	all, err := names(ctx, s.conn, sequencesQuery)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(all)) {
		var at int64
		var called bool
		if err := s.conn.QueryRow(ctx, "SELECT last_value, is_called FROM "+name).Scan(&at, &called); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "SELECT pg_catalog.setval(%s, %d, %t);\n", literal(name), at, called)
	}
	return b.String(), nil
}

const sequencesQuery = `SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND ` + ours + `
AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`
