package main

import (
	"context"
	"database/sql"
	"io/fs"
	"slices"
	"strings"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/incident"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// The lines of migrations that a database must hold. The engines apply them;
// these lists serve to tell what is pending.

// optional are the lines of packages that an application may do without. init and
// migrate apply them all the same, so that it may begin with one at any time.
func optional() []tenancy.Line { return []tenancy.Line{sqlstore.Line(), incident.Line()} }

// packageLines are those of the library's packages above the engines.
func packageLines() []tenancy.Line { return append([]tenancy.Line{audit.Line()}, optional()...) }

func postgresLines(app fs.FS) []tenancy.Line {
	return withApp(app, append(postgres.Lines(), packageLines()...)...)
}

func platformLines() []tenancy.Line { return append(sqlite.PlatformLines(), packageLines()...) }

func tenantLines(app fs.FS) []tenancy.Line {
	return withApp(app, append(sqlite.TenantLines(), audit.Line())...)
}

// begun leaves out the optional lines of which a database holds nothing.
func begun(lines []tenancy.Line, applied map[string]bool) []tenancy.Line {
	return slices.DeleteFunc(slices.Clone(lines), func(l tenancy.Line) bool {
		return isOptional(l) && !holds(applied, l)
	})
}

func isOptional(l tenancy.Line) bool {
	return slices.ContainsFunc(optional(), func(o tenancy.Line) bool { return o.Name == l.Name })
}

// holds reports whether anything of a line was applied.
func holds(applied map[string]bool, l tenancy.Line) bool {
	for name := range applied {
		if strings.HasPrefix(name, l.Name+"/") {
			return true
		}
	}
	return false
}

func withApp(app fs.FS, lines ...tenancy.Line) []tenancy.Line {
	if app != nil {
		lines = append(lines, tenancy.Line{Name: "app", FS: app})
	}
	return lines
}

// pending names the migrations that a database lacks.
func pending(ctx context.Context, q migrate.Querier, d migrate.Dialect, lines []tenancy.Line) ([]string, error) {
	missing, err := migrate.Pending(ctx, q, d, lines...)
	var names []string
	for _, f := range missing {
		names = append(names, f.Line+"/"+f.Name)
	}
	return names, err
}

// applied names the migrations that a database holds, in no order.
func applied(ctx context.Context, db *sql.DB, d migrate.Dialect) (map[string]bool, error) {
	found, table := "SELECT to_regclass('art32.migrations') IS NOT NULL", "art32.migrations"
	if d == migrate.SQLite {
		found, table = "SELECT count(*) FROM sqlite_schema WHERE name = 'art32_migrations'", "art32_migrations"
	}
	all := map[string]bool{}
	var there bool
	if err := db.QueryRowContext(ctx, found).Scan(&there); err != nil || !there {
		return all, err
	}
	rows, err := db.QueryContext(ctx, "SELECT line, name FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line, name string
		if err := rows.Scan(&line, &name); err != nil {
			return nil, err
		}
		all[line+"/"+name] = true
	}
	return all, rows.Err()
}
