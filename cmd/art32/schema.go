package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// declaredIn is the schema that the application last opened a directory with, so
// that opening it with art32 does not put another in its place.
func declaredIn(ctx context.Context, dir string) (schema tenancy.Schema, err error) {
	if !exists(filepath.Join(dir, platformFile)) {
		return placeholders, nil
	}
	src, err := openFiles(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	return declaredBy(ctx, src)
}

// declaredBy is the schema that the application last opened a database with, or
// one that no application has.
func declaredBy(ctx context.Context, src source) (tenancy.Schema, error) {
	there, err := hasTable(ctx, src, "declared")
	if err != nil {
		return nil, err
	}
	var schema tenancy.Schema
	if there {
		if schema, err = tenancy.Declared(ctx, reader{src}); err != nil {
			return nil, err
		}
	}
	if len(schema) == 0 {
		schema = placeholders
	}
	return schema, nil
}

// hasTable reports whether the platform's database has a table of the library's.
func hasTable(ctx context.Context, src source, name string) (there bool, err error) {
	found := "SELECT 1 FROM sqlite_schema WHERE name = $1"
	if src.dialect() == migrate.Postgres {
		found = "SELECT 1 WHERE to_regclass($1) IS NOT NULL"
	}
	err = each(ctx, src, uuid.Nil, func(engine.Row) error { there = true; return nil }, found, engine.Table(src.dialect(), name))
	return there, err
}

// environmentOf is what a database counts as.
func environmentOf(ctx context.Context, src source) (string, error) {
	there, err := hasTable(ctx, src, "environment")
	if err != nil || !there {
		return tenancy.Production, err
	}
	return tenancy.EnvironmentOf(ctx, reader{src})
}
