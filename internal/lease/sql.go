package lease

import "github.com/art32/art32/internal/migrate"

// statements is the SQL of one dialect. Every judgement on time is the
// database's: clock_timestamp() and not now(), which stands still within a
// transaction and while a statement waits for a row lock.
type statements struct {
	acquire string // name, holder, milliseconds → token; no row if held
	renew   string // name, token, milliseconds
	release string // name, token
	guard   string // name, token → one row if held
}

var dialects = map[migrate.Dialect]statements{
	migrate.Postgres: {
		acquire: `INSERT INTO art32.leases AS l (name, holder, token, expires_at)
			VALUES ($1, $2, 1, clock_timestamp() + $3::bigint * interval '1 millisecond')
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = l.token + 1,
				expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
			WHERE l.expires_at <= clock_timestamp()
			RETURNING token`,
		renew: `UPDATE art32.leases SET expires_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
			WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp()`,
		release: `UPDATE art32.leases SET expires_at = '-infinity' WHERE name = $1 AND token = $2`,
		guard: `SELECT token FROM art32.leases
			WHERE name = $1 AND token = $2 AND expires_at > clock_timestamp() FOR SHARE`,
	},
	migrate.SQLite: {
		acquire: `INSERT INTO art32_leases AS l (name, holder, token, expires_at)
			VALUES ($1, $2, 1, ` + sqliteNow + ` + $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = l.token + 1,
				expires_at = excluded.expires_at
			WHERE l.expires_at <= ` + sqliteNow + `
			RETURNING token`,
		renew: `UPDATE art32_leases SET expires_at = ` + sqliteNow + ` + $3
			WHERE name = $1 AND token = $2 AND expires_at > ` + sqliteNow,
		release: `UPDATE art32_leases SET expires_at = 0 WHERE name = $1 AND token = $2`,
		guard:   `SELECT token FROM art32_leases WHERE name = $1 AND token = $2 AND expires_at > ` + sqliteNow,
	},
}

// sqliteNow is the clock in milliseconds; it stands still within a statement.
const sqliteNow = `CAST(unixepoch('subsec') * 1000 AS INTEGER)`
