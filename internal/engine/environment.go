package engine

import "github.com/art32/art32/internal/migrate"

// Stamp says what environment a database is, which its owner runs with the name as
// its parameter. It does nothing where there is a stamp, and where there are
// tenants without one: those count as production.
func Stamp(d migrate.Dialect) string {
	return "INSERT INTO " + Table(d, "environment") + " (one, name) SELECT 1, CAST($1 AS TEXT)" +
		" WHERE CAST($1 AS TEXT) = 'production' OR NOT EXISTS (SELECT 1 FROM " + Table(d, "tenants") + ")" +
		" ON CONFLICT (one) DO NOTHING"
}
