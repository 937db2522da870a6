package keyring

import "github.com/art32/art32/internal/migrate"

// statements are the texts of one dialect. Insert takes rows as %s; a row takes
// the numbers of its parameters for name, version and bytes.
type statements struct {
	get, insert, row, shred, reserve, list string
}

// On PostgreSQL an insert that finds the key there must not write a new row
// version, which DO UPDATE would: each one is a copy of the key that outlives
// shredding until VACUUM. SQLite overwrites in place, and has no INSERT in WITH.
var dialects = map[migrate.Dialect]statements{
	migrate.Postgres: {
		get: `SELECT name, version, state, wrapped FROM art32_keys.keys
WHERE tenant_id = $1 AND name = ANY (ARRAY(SELECT json_array_elements_text($2::json)))`,
		insert: `WITH given (tenant_id, name, version, state, wrapped, created_at) AS (
	VALUES %s
), won AS (
	INSERT INTO art32_keys.keys (tenant_id, name, version, state, wrapped, created_at)
	SELECT tenant_id, name, version, state, wrapped, created_at FROM given ORDER BY name
	ON CONFLICT DO NOTHING
	RETURNING name, version, state, wrapped
)
SELECT name, version, state, wrapped FROM won
UNION ALL
SELECT k.name, k.version, k.state, k.wrapped
FROM art32_keys.keys k JOIN given g ON k.tenant_id = g.tenant_id AND k.name = g.name AND k.version = g.version`,
		row: `($1::uuid, $%d::text, $%d::integer, 'active', $%d::bytea, $2::bigint)`,
		shred: `INSERT INTO art32_keys.keys (tenant_id, name, version, state, created_at, erased_at)
SELECT $1::uuid, $2::text, v.version, 'erased', $3::bigint, $3::bigint
FROM (SELECT 1 AS version UNION SELECT version FROM art32_keys.keys WHERE tenant_id = $1::uuid AND name = $2::text) v
WHERE true
ON CONFLICT (tenant_id, name, version) DO UPDATE
SET state = 'erased', wrapped = NULL, erased_at = coalesce(keys.erased_at, excluded.erased_at)`,
		reserve: `UPDATE art32_keys.keys SET uses = uses + $4
WHERE tenant_id = $1 AND name = $2 AND version = $3 AND state = 'active' AND uses <= $5
RETURNING uses`,
		list: `SELECT tenant_id::text, name, version, state, created_at, coalesce(erased_at, 0)
FROM art32_keys.keys ORDER BY tenant_id, name, version`,
	},
	migrate.SQLite: {
		get: `SELECT name, version, state, wrapped FROM art32_keys
WHERE tenant_id = $1 AND name IN (SELECT value FROM json_each($2))`,
		insert: `INSERT INTO art32_keys (tenant_id, name, version, state, wrapped, created_at)
VALUES %s
ON CONFLICT (tenant_id, name, version) DO UPDATE SET version = excluded.version
RETURNING name, version, state, wrapped`,
		row: `($1, $%d, $%d, 'active', $%d, $2)`,
		shred: `INSERT INTO art32_keys (tenant_id, name, version, state, created_at, erased_at)
SELECT $1, $2, v.version, 'erased', $3, $3
FROM (SELECT 1 AS version UNION SELECT version FROM art32_keys WHERE tenant_id = $1 AND name = $2) v
WHERE true
ON CONFLICT (tenant_id, name, version) DO UPDATE
SET state = 'erased', wrapped = NULL, erased_at = coalesce(art32_keys.erased_at, excluded.erased_at)`,
		reserve: `UPDATE art32_keys SET uses = uses + $4
WHERE tenant_id = $1 AND name = $2 AND version = $3 AND state = 'active' AND uses <= $5
RETURNING uses`,
		list: `SELECT tenant_id, name, version, state, created_at, coalesce(erased_at, 0)
FROM art32_keys ORDER BY tenant_id, name, version`,
	},
}
