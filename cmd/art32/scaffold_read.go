package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/art32/art32/internal/migrate"
)

// readPostgres reads the columns of a table.
func (t *foundTable) readPostgres(ctx context.Context, dsn string) (err error) {
	db, err := openLook(ctx, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := beginLook(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fromServer(tx.Rollback())) }()
	rows, err := tx.QueryContext(ctx, `SELECT format('%I.%I', n.nspname, c.relname), a.attname::text, quote_ident(a.attname), format_type(a.atttypid, NULL), a.attnotnull,
		EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND a.attnum = ANY (x.indkey)),
		EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisunique AND NOT x.indisprimary AND a.attnum = ANY (x.indkey))
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND (n.nspname || '.' || c.relname = $1 OR n.nspname = 'public' AND c.relname = $1) ORDER BY c.oid, a.attnum`, t.name)
	if err != nil {
		return fromServer(err)
	}
	return t.scan(rows, true)
}

// readSQLite reads them from a file that the library did not make.
func (t *foundTable) readSQLite(ctx context.Context, path string) error {
	if st, err := os.Stat(path); err != nil || st.IsDir() {
		return usagef("--data: no file")
	}
	files, err := findSQLite(path)
	if err != nil || len(files) != 1 {
		return errors.Join(err, usagef("--data: no SQLite file"))
	}
	db, why, err := files[0].open()
	if err != nil || why != "" {
		return errors.Join(err, errors.New(why))
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT s.name, c.name, '', c.type, c."notnull" OR c.pk > 0, c.pk > 0,
		EXISTS (SELECT 1 FROM pragma_index_list(s.name) i JOIN pragma_index_info(i.name) k WHERE i."unique" AND i.origin <> 'pk' AND k.name = c.name)
		FROM sqlite_schema s JOIN pragma_table_info(s.name) c WHERE s.type = 'table' AND s.name = $1 ORDER BY c.cid`, t.name)
	if err != nil {
		return fromSQLite(files[0].name, err)
	}
	return t.scan(rows, false)
}

func (t *foundTable) scan(rows *sql.Rows, quoted bool) error {
	defer rows.Close()
	for rows.Next() {
		var c foundColumn
		if err := rows.Scan(&t.quoted, &c.name, &c.quoted, &c.typ, &c.notNull, &c.key, &c.unique); err != nil {
			return err
		}
		if !quoted {
			c.quoted = quoteLite(c.name)
		}
		t.columns = append(t.columns, c)
	}
	if err := rows.Err(); err != nil {
		return fromServer(err)
	}
	if len(t.columns) == 0 {
		return errNoTable
	}
	return nil
}

// migration is what makes room for the declaration.
func (t *foundTable) migration() string {
	if t.engine == migrate.SQLite {
		return t.create()
	}
	return t.alter()
}

// alter changes the table in place: SQLite has a file per tenant instead.
func (t *foundTable) alter() string {
	var changes, indexes []string
	for _, c := range t.columns {
		if t.roleOf(c) != roleEncrypted {
			continue
		}
		changes = append(changes, fmt.Sprintf("ALTER COLUMN %s TYPE bytea USING convert_to(%s, 'UTF8')", c.quoted, c.quoted))
		for range t.index(c) {
			changes = append(changes, "ADD COLUMN "+c.name+"_bidx bytea")
			indexes = append(indexes, t.indexOn(c))
		}
	}
	if len(changes) == 0 {
		return "-- No text of this table looks personal by its name.\n"
	}
	return "-- Text becomes bytes, which are read in clear until the DATE of the struct, and sealed\n" +
		"-- when anything of their row is written. The table is rewritten and locked meanwhile;\n" +
		"-- programs that read text fail from here on. Unique constraints on these columns hold no\n" +
		"-- more, since ciphertexts differ: those of the blind indexes take their place.\n" +
		"ALTER TABLE " + t.quoted + "\n\t" + strings.Join(changes, ",\n\t") + ";\n" + strings.Join(indexes, "")
}

func (t *foundTable) indexOn(c foundColumn) string {
	tenant := "tenant_id"
	for _, x := range t.columns {
		if x.name == t.tenant() {
			tenant = x.quoted
		}
	}
	return fmt.Sprintf("CREATE %sINDEX ON %s (%s, %s_bidx);\n", kindOf(c), t.quoted, tenant, c.name)
}

// create makes the table in each tenant's file, into which a program imports.
func (t *foundTable) create() string {
	var lines []string
	if t.tenant() == "" {
		lines = append(lines, "\ttenant_id TEXT NOT NULL")
	}
	var indexes strings.Builder
	for _, c := range t.columns {
		typ, null := t.liteType(c), ""
		if c.notNull && t.roleOf(c) != roleEncrypted {
			null = " NOT NULL"
		}
		if t.roleOf(c) == roleKey {
			null += " PRIMARY KEY"
		}
		lines = append(lines, "\t"+c.quoted+" "+typ+null)
		if t.roleOf(c) == roleEncrypted && len(t.index(c)) > 0 {
			lines = append(lines, "\t"+c.name+"_bidx BLOB")
			fmt.Fprintf(&indexes, "CREATE %sINDEX %s ON %s (%s_bidx);\n", kindOf(c), quoteLite(t.name+"_"+c.name+"_bidx"), quoteLite(t.name), c.name)
		}
	}
	return "-- In each tenant's file. docs/adopting.md shows how the rows get there.\nCREATE TABLE " + quoteLite(t.name) + " (\n" + strings.Join(lines, ",\n") + "\n);\n" + indexes.String()
}

// kindOf is the word before INDEX.
func kindOf(c foundColumn) string {
	if c.unique {
		return "UNIQUE "
	}
	return ""
}

func quoteLite(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// liteType is the type that the engine reads back into the field's.
func (t *foundTable) liteType(c foundColumn) string {
	if t.roleOf(c) == roleEncrypted {
		return "BLOB"
	}
	switch t.goType(c) {
	case "string":
		return "TEXT"
	case "bool", "int64":
		return "INTEGER"
	case "float64":
		return "REAL"
	case "[]byte":
		return "BLOB"
	case "time.Time":
		return "TIMESTAMP"
	}
	return "??? /* decide */"
}
