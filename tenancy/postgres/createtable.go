package postgres

import (
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// CreateTable begins the migration that creates a declared table: its columns, keys,
// blind indexes and protection. It is a text for people to review and complete.
// Types that only the application knows, of its own Value and Scan, stand as "???",
// which no server takes.
func CreateTable(t tenancy.Table) (string, error) {
	return tenancy.CreateTable(engine.Library, t, migrate.Postgres)
}
