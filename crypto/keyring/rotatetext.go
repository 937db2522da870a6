package keyring

import "github.com/art32/art32/internal/migrate"

// rotations are the texts of one dialect for what a [Rotator] and a [Destroyer]
// do. Those that change many versions take them as %s, see [given].
type rotations struct {
	page, one, introduce, retire, rewrap, lock, destroy, report, last, clear string
}

// On PostgreSQL the rows of a statement are locked in one order, and what it has
// waited for is looked at again. The time of a change is not before that of the
// server, so that Grace does not rest on one client's clock.
//
// Neither engine knows how many keys a tenant has, or in which states: each would
// rather read all of them for every given row than look that row up. On
// PostgreSQL the tenant is therefore a column of what is given, MATERIALIZED so
// that it is not taken for a constant; what is asked of a key stands in a LATERAL
// query that locks it, which no plan can turn round, and is not asked again of
// what is locked; and one is counted rather than joined where it must be missing.
// The KEKs that are in use are listed once: a cost that is estimated for each row
// has the server compile the statement, which takes seconds. SQLite is told
// the order by CROSS JOIN, by MATERIALIZED to look for the due rows once, and by
// +due.id to look up their rows and not the other way round.
const (
	postgresClock = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
	postgresRipe  = `k.changed_at <= least($2::bigint, ` + postgresClock + ` - ($3::bigint - $2::bigint))`
	postgresOne   = `k.tenant_id = g.tenant_id AND k.name = g.name AND k.version = g.version`
	sqliteOne     = `k.tenant_id = $1 AND k.name = g.name AND k.version = g.version`
)

var rotationTexts = map[migrate.Dialect]rotations{
	migrate.Postgres: {
		page: `SELECT k.name, k.version, k.state, k.wrapped, k.created_at, k.changed_at FROM art32_keys.keys k
WHERE k.tenant_id = $1::uuid AND starts_with(k.name, $2::text) AND k.name > $3::text ORDER BY k.name, k.version LIMIT $4`,
		one: `SELECT k.name, k.version, k.state, k.wrapped, k.created_at, k.changed_at FROM art32_keys.keys k
WHERE k.tenant_id = $1::uuid AND k.name = $2::text ORDER BY k.version`,
		introduce: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version, wrapped, under) ORDER BY 2, 3
), kek AS (` + postgresKEK + `), before AS (
	SELECT g.* FROM given g CROSS JOIN LATERAL (SELECT 1 FROM art32_keys.keys k
		WHERE k.tenant_id = g.tenant_id AND k.name = g.name AND k.version = g.version - 1 AND k.state = 'active' FOR SHARE) k
)
INSERT INTO art32_keys.keys (tenant_id, name, version, state, wrapped, created_at, changed_at)
SELECT g.tenant_id, g.name, g.version, 'active', g.wrapped, $2::bigint, $2::bigint FROM before g
WHERE (g.under IS NULL OR EXISTS (SELECT 1 FROM kek WHERE kek.version = g.under))
AND 0 = (SELECT count(*) FROM art32_keys.keys e WHERE e.tenant_id = g.tenant_id AND e.name = g.name AND e.state = 'erased')
ON CONFLICT DO NOTHING`,
		retire: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version) ORDER BY 2, 3
), due AS (
	SELECT g.* FROM given g CROSS JOIN LATERAL (SELECT 1 FROM art32_keys.keys k
		WHERE ` + postgresOne + ` AND k.state = 'active' AND 0 < (SELECT count(*) FROM art32_keys.keys l
			WHERE l.tenant_id = g.tenant_id AND l.name = g.name AND l.version > g.version AND l.state = 'active')
		FOR NO KEY UPDATE OF k) k
)
UPDATE art32_keys.keys k SET state = 'retired', changed_at = greatest($2::bigint, ` + postgresClock + `)
FROM due g WHERE ` + postgresOne,
		rewrap: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version, wrapped, under, old) ORDER BY 2, 3
), kek AS (` + postgresKEK + `), due AS (
	SELECT g.* FROM given g CROSS JOIN LATERAL (SELECT 1 FROM art32_keys.keys k
		WHERE ` + postgresOne + ` AND k.wrapped = g.old FOR NO KEY UPDATE) k
)
UPDATE art32_keys.keys k SET wrapped = g.wrapped
FROM due g WHERE ` + postgresOne + `
AND (g.under IS NULL OR EXISTS (SELECT 1 FROM kek WHERE kek.version = g.under))`,
		lock: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version) ORDER BY 2, 3
)
SELECT 1 FROM given g CROSS JOIN LATERAL (SELECT 1 FROM art32_keys.keys k WHERE ` + postgresOne + ` FOR UPDATE) k`,
		destroy: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version, header) ORDER BY 2, 3
), due AS (
	SELECT g.* FROM given g CROSS JOIN LATERAL (SELECT 1 FROM art32_keys.keys k
		WHERE ` + postgresOne + ` AND k.state = 'retired' AND ` + postgresRipe + ` FOR NO KEY UPDATE) k
)
UPDATE art32_keys.keys k SET state = 'destroyed', wrapped = NULL, changed_at = $3::bigint
FROM due g WHERE ` + postgresOne + `
AND (g.header IS NULL OR g.header <> ALL (ARRAY(SELECT DISTINCT substring(w.wrapped FROM 1 FOR 5) FROM art32_keys.keys w
	WHERE w.tenant_id = $1::uuid AND w.name NOT IN ('tenant', 'root') AND w.wrapped IS NOT NULL)))`,
		report: `WITH given AS MATERIALIZED (
	SELECT $1::uuid AS tenant_id, v.* FROM (VALUES %s) v (name, version) ORDER BY 2, 3
)
SELECT k.state, ` + postgresRipe + ` FROM given g LEFT JOIN art32_keys.keys k ON ` + postgresOne + `
WHERE coalesce(k.state, '') NOT IN ('destroyed', 'erased')`,
		last: `SELECT coalesce(max(name), '') FROM (SELECT name FROM art32_keys.keys
	WHERE tenant_id = $1::uuid AND name > $2::text ORDER BY name LIMIT $3) n`,
		clear: `WITH due AS (
	SELECT k.tenant_id, k.name, k.version FROM art32_keys.keys k
	WHERE k.tenant_id = $1::uuid AND k.name > $2::text AND k.name <= $3::text AND k.state IN ('active', 'retired')
	AND EXISTS (SELECT 1 FROM art32_keys.keys t WHERE t.tenant_id = $1::uuid AND t.name = 'tenant' AND t.state = 'erased')
	ORDER BY k.name, k.version FOR NO KEY UPDATE OF k
)
UPDATE art32_keys.keys k SET state = 'destroyed', wrapped = NULL, changed_at = $4::bigint
FROM due g WHERE ` + postgresOne,
	},
	migrate.SQLite: {
		page: `SELECT name, version, state, CASE WHEN code < 4 THEN wrapped END, created_at, changed_at FROM art32_keys
WHERE tenant_id = $1 AND substr(name, 1, length($2)) = $2 AND name > $3 ORDER BY name, version LIMIT $4`,
		one: `SELECT name, version, state, CASE WHEN code < 4 THEN wrapped END, created_at, changed_at FROM art32_keys
WHERE tenant_id = $1 AND name = $2 ORDER BY version`,
		introduce: `WITH given (name, version, wrapped, under) AS (
	VALUES %s
)
INSERT INTO art32_keys (tenant_id, name, version, code, wrapped, created_at, changed_at)
SELECT $1, g.name, g.version, 2, g.wrapped, $2, $2 FROM given g
WHERE (g.under IS NULL OR ` + sqliteKEK + `)
AND EXISTS (SELECT 1 FROM art32_keys b WHERE b.tenant_id = $1 AND b.name = g.name AND b.version = g.version - 1 AND b.code = 2)
AND NOT EXISTS (SELECT 1 FROM art32_keys e WHERE e.tenant_id = $1 AND e.name = g.name AND e.code = 5)
ON CONFLICT (tenant_id, name, version) DO NOTHING`,
		retire: `WITH given (name, version) AS (
	VALUES %s
), due AS MATERIALIZED (
	SELECT k.id FROM given g CROSS JOIN art32_keys k ON ` + sqliteOne + ` WHERE k.code = 2 AND EXISTS (SELECT 1 FROM art32_keys l
		WHERE l.tenant_id = $1 AND l.name = g.name AND l.version > g.version AND l.code = 2)
)
UPDATE art32_keys SET code = 3, changed_at = $2 FROM due WHERE art32_keys.id = +due.id`,
		rewrap: `WITH given (name, version, wrapped, under, old) AS (
	VALUES %s
), due AS MATERIALIZED (
	SELECT k.id, g.wrapped FROM given g CROSS JOIN art32_keys k ON ` + sqliteOne + `
	WHERE k.wrapped = g.old AND (g.under IS NULL OR ` + sqliteKEK + `)
)
UPDATE art32_keys SET wrapped = due.wrapped FROM due WHERE art32_keys.id = +due.id`,
		destroy: `WITH given (name, version, header) AS (
	VALUES %s
), due AS MATERIALIZED (
	SELECT k.id FROM given g CROSS JOIN art32_keys k ON ` + sqliteOne + ` WHERE k.code = 3 AND k.changed_at <= $2
	AND (g.header IS NULL OR NOT EXISTS (SELECT 1 FROM art32_keys w
		WHERE w.tenant_id = $1 AND w.name NOT IN ('tenant', 'root') AND w.code < 4 AND substr(w.wrapped, 1, 5) = g.header))
)
UPDATE art32_keys SET code = 4, wrapped = zeroblob(length(wrapped)), changed_at = $3 FROM due WHERE art32_keys.id = +due.id`,
		report: `WITH given (name, version) AS (
	VALUES %s
)
SELECT k.state, k.changed_at <= $2 FROM given g LEFT JOIN art32_keys k ON ` + sqliteOne + `
WHERE coalesce(k.code, 0) < 4 AND $3 >= $2`,
		last: `SELECT coalesce(max(name), '') FROM (SELECT name FROM art32_keys
	WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3)`,
		clear: `UPDATE art32_keys SET code = 4, wrapped = zeroblob(length(wrapped)), changed_at = $4
WHERE tenant_id = $1 AND name > $2 AND name <= $3 AND code < 4
AND EXISTS (SELECT 1 FROM art32_keys t WHERE t.tenant_id = $1 AND t.name = 'tenant' AND t.code = 5)`,
	},
}
