package keyring

import "github.com/art32/art32/internal/migrate"

// statements are the texts of one dialect. Insert takes its records as %s, see
// [given].
type statements struct {
	get, insert, shred, reserve, list string
}

// On PostgreSQL an insert that finds the key there must not write a new row
// version, which DO UPDATE would: each one is a copy of the key that outlives
// shredding until VACUUM. SQLite overwrites in place, and has no INSERT in WITH.
//
// Whatever is written under a KEK is written in one statement with the look at
// that KEK. PostgreSQL holds its row meanwhile, so that whoever destroys it
// waits; SQLite has one writer.
const (
	postgresKEK = `SELECT version FROM art32_keys.keys
	WHERE tenant_id = $1::uuid AND name = 'tenant' AND state IN ('active', 'retired') ORDER BY version FOR SHARE`
	sqliteKEK = `EXISTS (SELECT 1 FROM art32_keys kek
	WHERE kek.tenant_id = $1 AND kek.name = 'tenant' AND kek.version = g.under AND kek.code < 4)`
)

var dialects = map[migrate.Dialect]statements{
	migrate.Postgres: {
		get: `SELECT name, version, state, wrapped FROM art32_keys.keys
WHERE tenant_id = $1 AND name = ANY (ARRAY(SELECT json_array_elements_text($2::json)))`,
		insert: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version, wrapped, under)
), kek AS (` + postgresKEK + `), won AS (
	INSERT INTO art32_keys.keys (tenant_id, name, version, state, wrapped, created_at, changed_at)
	SELECT $1::uuid, g.name, g.version, 'active', g.wrapped, $2::bigint, $2::bigint FROM given g
	WHERE g.under IS NULL OR EXISTS (SELECT 1 FROM kek WHERE kek.version = g.under)
	OR EXISTS (SELECT 1 FROM given t WHERE t.name = 'tenant' AND t.version = g.under)
		AND NOT EXISTS (SELECT 1 FROM art32_keys.keys t WHERE t.tenant_id = $1::uuid AND t.name = 'tenant')
	ORDER BY g.name
	ON CONFLICT DO NOTHING
	RETURNING name, version, state, wrapped
)
SELECT name, version, state, wrapped FROM won
UNION ALL
SELECT k.name, k.version, k.state, k.wrapped
FROM art32_keys.keys k JOIN given g ON k.tenant_id = g.tenant_id AND k.name = g.name`,
		shred: `INSERT INTO art32_keys.keys (tenant_id, name, version, state, created_at, changed_at)
SELECT $1::uuid, $2::text, v.version, 'erased', $3::bigint, $3::bigint
FROM (SELECT 1 AS version UNION SELECT version FROM art32_keys.keys WHERE tenant_id = $1::uuid AND name = $2::text) v
WHERE true
ON CONFLICT (tenant_id, name, version) DO UPDATE
SET state = 'erased', wrapped = NULL, changed_at = excluded.changed_at
WHERE keys.state <> 'erased'`,
		reserve: `INSERT INTO art32_keys.uses (tenant_id, name, version, uses)
SELECT tenant_id, name, version, $4::bigint FROM art32_keys.keys
WHERE tenant_id = $1::uuid AND name = $2::text AND version = $3::integer AND state IN ('active', 'retired')
ON CONFLICT (tenant_id, name, version) DO UPDATE SET uses = uses.uses + excluded.uses
WHERE uses.uses <= $5::bigint
RETURNING uses`,
		list: `SELECT tenant_id::text, name, version, state, created_at, changed_at
FROM art32_keys.keys ORDER BY tenant_id, name, version`,
	},
	migrate.SQLite: {
		get: `SELECT name, version, state, CASE WHEN code < 4 THEN wrapped END FROM art32_keys
WHERE tenant_id = $1 AND name IN (SELECT value FROM json_each($2))`,
		insert: `WITH given (name, version, wrapped, under) AS (
	VALUES %s
)
INSERT INTO art32_keys (tenant_id, name, version, code, wrapped, created_at, changed_at)
SELECT $1, g.name, g.version, 2, g.wrapped, $2, $2 FROM given g
WHERE g.under IS NULL OR ` + sqliteKEK + `
OR EXISTS (SELECT 1 FROM given t WHERE t.name = 'tenant' AND t.version = g.under)
	AND NOT EXISTS (SELECT 1 FROM art32_keys t WHERE t.tenant_id = $1 AND t.name = 'tenant')
ON CONFLICT (tenant_id, name, version) DO UPDATE SET code = art32_keys.code
RETURNING name, version, state, CASE WHEN code < 4 THEN wrapped END`,
		shred: `INSERT INTO art32_keys (tenant_id, name, version, code, wrapped, created_at, changed_at)
SELECT $1, $2, v.version, 5, x'', $3, $3
FROM (SELECT 1 AS version UNION SELECT version FROM art32_keys WHERE tenant_id = $1 AND name = $2) v
WHERE true
ON CONFLICT (tenant_id, name, version) DO UPDATE
SET code = 5, wrapped = zeroblob(length(art32_keys.wrapped)), changed_at = excluded.changed_at
WHERE art32_keys.code <> 5`,
		reserve: `INSERT INTO art32_key_uses (tenant_id, name, version, uses)
SELECT tenant_id, name, version, $4 FROM art32_keys
WHERE tenant_id = $1 AND name = $2 AND version = $3 AND code < 4
ON CONFLICT (tenant_id, name, version) DO UPDATE SET uses = art32_key_uses.uses + excluded.uses
WHERE art32_key_uses.uses <= $5
RETURNING uses`,
		list: `SELECT tenant_id, name, version, state, created_at, changed_at
FROM art32_keys ORDER BY tenant_id, name, version`,
	},
}
