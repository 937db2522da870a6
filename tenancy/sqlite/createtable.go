package sqlite

import (
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// CreateTable begins the migration that creates a declared table in each tenant's
// file: its columns and blind indexes. It is a text for people to review and
// complete. Types that only the application knows, of its own Value and Scan, stand
// as "???", which SQLite does not take.
func CreateTable(t tenancy.Table) (string, error) {
	return tenancy.CreateTable(engine.Library, t, migrate.SQLite)
}
