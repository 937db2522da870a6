package keyring

import "github.com/art32/art32/internal/migrate"

// copyStatements are the texts for copies in one dialect. All but export take
// rows in JSON, see [importRow].
type copyStatements struct {
	export, add, erase, count string
}

func (s *sqlStore) copies() copyStatements {
	if s.lite {
		return copyDialects[migrate.SQLite]
	}
	return copyDialects[migrate.Postgres]
}

const postgresGiven = `WITH g AS (
	SELECT * FROM json_to_recordset($1::json) AS r(tenant uuid, name text, version integer, state text,
		wrapped text, under integer, created bigint, changed bigint, uses bigint)
)
`

const sqliteGiven = `WITH g AS MATERIALIZED (
	SELECT value->>'tenant' AS tenant, value->>'name' AS name, value->>'version' AS version, value->>'state' AS state,
		unhex(value->>'wrapped') AS wrapped, value->>'under' AS under,
		value->>'created' AS created, value->>'changed' AS changed, value->>'uses' AS uses
	FROM json_each($1)
)
`

// A conflict does nothing, so that on PostgreSQL no row version is written that
// would be a copy of a key until VACUUM.
var copyDialects = map[migrate.Dialect]copyStatements{
	migrate.Postgres: {
		export: `SELECT k.tenant_id::text, k.name, k.version, k.state, k.wrapped, k.created_at, k.changed_at, COALESCE(u.uses, 0)
FROM art32_keys.keys k
LEFT JOIN art32_keys.uses u ON u.tenant_id = k.tenant_id AND u.name = k.name AND u.version = k.version
WHERE (k.tenant_id, k.name, k.version) > ($1::uuid, $2::text, $3::integer)
ORDER BY k.tenant_id, k.name, k.version LIMIT $4`,
		add: postgresGiven + `INSERT INTO art32_keys.keys (tenant_id, name, version, state, wrapped, created_at, changed_at)
SELECT g.tenant, g.name, g.version, g.state, decode(g.wrapped, 'hex'), g.created, g.changed FROM g
WHERE g.wrapped IS NULL OR (
	NOT EXISTS (SELECT 1 FROM art32_keys.keys t
		WHERE t.tenant_id = g.tenant AND t.name IN (g.name, 'tenant') AND t.state = 'erased')
	AND (g.under IS NULL OR EXISTS (SELECT 1 FROM art32_keys.keys t
		WHERE t.tenant_id = g.tenant AND t.name = 'tenant' AND t.version = g.under AND t.state IN ('active', 'retired'))))
ON CONFLICT DO NOTHING`,
		erase: postgresGiven + `UPDATE art32_keys.keys k SET state = 'erased', wrapped = NULL, changed_at = g.changed
FROM g WHERE k.tenant_id = g.tenant AND k.name = g.name AND g.state = 'erased' AND k.state <> 'erased'`,
		count: postgresGiven + `INSERT INTO art32_keys.uses AS u (tenant_id, name, version, uses)
SELECT tenant, name, version, uses FROM g WHERE uses > 0
ON CONFLICT (tenant_id, name, version) DO UPDATE SET uses = excluded.uses WHERE u.uses < excluded.uses`,
	},
	migrate.SQLite: {
		export: `SELECT k.tenant_id, k.name, k.version, k.state, CASE WHEN k.code < 4 THEN k.wrapped END,
	k.created_at, k.changed_at, COALESCE(u.uses, 0)
FROM art32_keys k
LEFT JOIN art32_key_uses u ON u.tenant_id = k.tenant_id AND u.name = k.name AND u.version = k.version
WHERE (k.tenant_id, k.name, k.version) > ($1, $2, $3)
ORDER BY k.tenant_id, k.name, k.version LIMIT $4`,
		add: sqliteGiven + `INSERT INTO art32_keys (tenant_id, name, version, code, wrapped, created_at, changed_at)
SELECT g.tenant, g.name, g.version,
	CASE g.state WHEN 'active' THEN 2 WHEN 'retired' THEN 3 WHEN 'destroyed' THEN 4 ELSE 5 END,
	COALESCE(g.wrapped, x''), g.created, g.changed FROM g
WHERE g.wrapped IS NULL OR (
	NOT EXISTS (SELECT 1 FROM art32_keys t
		WHERE t.tenant_id = g.tenant AND t.name IN (g.name, 'tenant') AND t.code = 5)
	AND (g.under IS NULL OR EXISTS (SELECT 1 FROM art32_keys t
		WHERE t.tenant_id = g.tenant AND t.name = 'tenant' AND t.version = g.under AND t.code < 4)))
ON CONFLICT DO NOTHING`,
		erase: sqliteGiven + `UPDATE art32_keys AS k SET code = 5, wrapped = zeroblob(length(k.wrapped)), changed_at = g.changed
FROM g WHERE k.tenant_id = g.tenant AND k.name = g.name AND g.state = 'erased' AND k.code <> 5`,
		count: sqliteGiven + `INSERT INTO art32_key_uses AS u (tenant_id, name, version, uses)
SELECT tenant, name, version, uses FROM g WHERE uses > 0
ON CONFLICT (tenant_id, name, version) DO UPDATE SET uses = excluded.uses WHERE u.uses < excluded.uses`,
	},
}
