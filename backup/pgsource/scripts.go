package pgsource

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/art32/art32/internal/migrate"
)

// Texts that a restore by hand and [Into] run alike. They are of this package,
// not of the backup, but for what psql runs.
var (
	//go:embed sql/roles.sql
	rolesScript string
	//go:embed sql/references.sql
	referencesScript string
	//go:embed sql/views.sql
	viewsScript string
)

// holdOutbox keeps messages that waited from being sent a second time. $1 is now.
const holdOutbox = "UPDATE art32.outbox SET dead_at = $1, last_error = 'held by restore' WHERE delivered_at IS NULL AND dead_at IS NULL"

// schemaScript makes roles and tables with psql.
func schemaScript(files []migrate.File) string {
	var b strings.Builder
	b.WriteString(rolesScript)
	fmt.Fprintf(&b, "SET ROLE :\"art32_owner\";\n%s\n", migrate.CreateTable(migrate.Postgres))
	for _, f := range files {
		fmt.Fprintf(&b, "BEGIN;\n\\ir migrations/%s/%s\n;\nINSERT INTO art32.migrations (line, version, name, checksum, applied_at)"+
			" VALUES (%s, %d, %s, %s, now());\nCOMMIT;\n", f.Line, f.Name, literal(f.Line), f.Version, literal(f.Name), literal(f.Checksum))
	}
	b.WriteString("BEGIN;\n" + formats + qualified + "\n\\ir partitions.sql\nCOMMIT;\nRESET ROLE;\n")
	return b.String()
}

// loadScript loads the rows of all parts that are unpacked below the folder in
// which psql runs.
func loadScript(tables []table) string {
	var b strings.Builder
	b.WriteString("-- Loads the rows of every part that was unpacked below the current folder.\n" + opening)
	b.WriteString(emptying(tables))
	loading(&b, tables)
	b.WriteString("ANALYZE;\n\\ir sequences.sql\n" + referencesScript + viewsScript)
	counting(&b, tables)
	b.WriteString(strings.Replace(holdOutbox, "$1", "now()", 1) + ";\nCOMMIT;\n")
	return b.String()
}

// keystoreScript loads the keystore.
func keystoreScript(tables []table) string {
	var b strings.Builder
	b.WriteString("-- Loads the keystore that was unpacked below the current folder.\n" + opening)
	loading(&b, tables)
	b.WriteString("COMMIT;\n")
	return b.String()
}

const (
	asReplica = "SET LOCAL session_replication_role = replica;\n"
	opening   = "\\set ON_ERROR_STOP on\nBEGIN;\n" + formats + "\n" + asReplica
)

// emptying removes the rows that migrations put into tables.
func emptying(tables []table) string {
	var b strings.Builder
	for i := range tables {
		fmt.Fprintf(&b, "DELETE FROM %s;\n", tables[i].only())
	}
	return b.String()
}

func loading(b *strings.Builder, tables []table) {
	for i := range tables {
		fmt.Fprintf(b, "\\copy %s %s from program 'find . -path \"*/%s/*.copy\" -exec cat {} +'\n",
			tables[i].quoted(), tables[i].columns(), tables[i].folder())
	}
}

// counting shows how many rows each table has, to be compared with the sum over
// the files TABLES.json.
func counting(b *strings.Builder, tables []table) {
	for i := range tables {
		fmt.Fprintf(b, "SELECT %s AS \"table\", count(*) AS rows FROM %s;\n", literal(tables[i].label()), tables[i].only())
	}
}
