package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

const measure = "TOM-8.1"

// forbidden is callers' text that must be denied. OTHER stands for the path of
// another tenant's file. Each does its harm on a connection without the guard,
// which TestForbidden shows, so that no line is denied for being broken.
var forbidden = []string{
	// Other files.
	"ATTACH 'OTHER' AS b",
	"ATTACH DATABASE 'file:OTHER?mode=ro' AS b",
	"ATTACH ':memory:' AS m",
	"ATTACH '' AS m",
	"DETACH b",
	"VACUUM",
	"VACUUM INTO 'OTHER.copy'",
	"SELECT 1; VACUUM INTO 'OTHER.copy'",
	"SELECT 1; ATTACH 'OTHER' AS b",

	// The library's tables: reading.
	"SELECT * FROM art32_home",
	"SELECT lines FROM main.art32_home",
	`SELECT lines FROM "ART32_home"`,
	"SELECT lines FROM [Art32_Home]",
	"SELECT count(*) FROM art32_home",
	"SELECT 1 FROM art32_home LIMIT 0",
	"SELECT * FROM (SELECT * FROM (art32_home))",
	"SELECT h.lines FROM things, art32_home AS h",
	"SELECT (SELECT lines FROM art32_home)",
	"SELECT 1 WHERE EXISTS (SELECT 1 FROM art32_home)",
	"WITH x AS (SELECT lines FROM art32_home) SELECT * FROM x",
	"WITH things AS (SELECT lines FROM art32_home) SELECT * FROM things",
	"WITH view_things AS (SELECT lines FROM art32_home) SELECT * FROM view_things",
	"WITH RECURSIVE x(a) AS (SELECT lines FROM art32_home UNION SELECT a FROM x) SELECT * FROM x",
	"SELECT n FROM things UNION SELECT lines FROM art32_home",
	"SELECT n FROM things ORDER BY (SELECT lines FROM art32_home)",
	"INSERT INTO things (id, tenant_id, data) SELECT 'y', 'y', lines FROM art32_home",
	"UPDATE things SET data = (SELECT lines FROM art32_home)",
	"UPDATE things SET data = h.lines FROM art32_home h",
	"DELETE FROM things WHERE EXISTS (SELECT 1 FROM art32_home)",
	"INSERT INTO things (id, tenant_id) VALUES ('z', 'z') RETURNING (SELECT lines FROM art32_home)",
	"EXPLAIN SELECT * FROM art32_home",
	"EXPLAIN QUERY PLAN SELECT * FROM art32_home",
	"SELECT payload FROM art32_outbox",
	"SELECT line FROM art32_migrations",
	"SELECT * FROM sqlite_dbpage",
	"SELECT data FROM sqlite_dbpage WHERE pgno = 2",
	"SELECT * FROM dbstat",
	"SELECT * FROM pragma_table_info('art32_home')",
	"PRAGMA table_info(art32_home)",
	"PRAGMA table_xinfo('ART32_HOME')",
	"PRAGMA foreign_key_check(art32_home)",
	"PRAGMA integrity_check",
	"PRAGMA quick_check(art32_home)",
	"SELECT * FROM pragma_integrity_check",
	"SELECT * FROM pragma_database_list",

	// The library's tables: writing.
	"INSERT INTO art32_outbox (tenant_id, id, kind, payload, created_at, due_at) VALUES ('', '', '', x'', '', '')",
	"REPLACE INTO art32_migrations VALUES ('x', 1, '', '', '')",
	"UPDATE art32_home SET lines = ''",
	"UPDATE main.art32_home SET tenant_id = '00000000-0000-0000-0000-000000000000'",
	"DELETE FROM art32_home",
	"DELETE FROM art32_migrations WHERE line = 'app'",
	"WITH x AS (SELECT 1) DELETE FROM art32_home",
	"DROP TABLE art32_home",
	"DROP INDEX art32_outbox_due",
	"ALTER TABLE art32_home RENAME TO mine",
	"ALTER TABLE art32_home ADD COLUMN x TEXT",
	"ALTER TABLE art32_home RENAME COLUMN lines TO x",
	"ALTER TABLE art32_outbox DROP COLUMN last_error",
	"CREATE INDEX i ON art32_home (lines)",
	"CREATE TRIGGER t AFTER UPDATE ON art32_home BEGIN SELECT 1; END",
	"CREATE TRIGGER t BEFORE INSERT ON art32_outbox BEGIN SELECT RAISE(IGNORE); END",

	// The schema: that is for migrations.
	"CREATE TABLE more (a)",
	"CREATE TABLE more AS SELECT * FROM things",
	"CREATE TABLE art32_more (a)",
	"CREATE VIEW v AS SELECT * FROM art32_home",
	"CREATE VIEW v AS SELECT 1",
	"CREATE INDEX i ON things (n)",
	"CREATE TRIGGER t AFTER INSERT ON things BEGIN INSERT INTO art32_outbox (tenant_id, id, kind, payload, created_at, due_at) VALUES ('', '', '', '', '', ''); END",
	"CREATE TRIGGER t AFTER INSERT ON things BEGIN DELETE FROM art32_home; END",
	"CREATE TRIGGER art32_t AFTER INSERT ON things BEGIN DELETE FROM art32_home; END",
	"CREATE VIRTUAL TABLE ft USING fts5(a)",
	"CREATE VIRTUAL TABLE ft USING fts5(lines, content='art32_home')",
	"CREATE VIRTUAL TABLE ft USING fts5vocab('notes', 'row')",
	"CREATE VIRTUAL TABLE rt USING rtree(id, a, b)",
	"DROP TABLE things",
	"DROP VIEW view_things",
	"DROP TRIGGER things_small",
	"DROP TABLE notes",
	"ALTER TABLE things RENAME TO art32_things",
	"ALTER TABLE things ADD COLUMN x",
	"REINDEX",
	"REINDEX things",
	"ANALYZE",
	"ANALYZE things",

	// Temporary objects would stand in for real ones, and outlive the transaction.
	"CREATE TEMP TABLE things (a)",
	"CREATE TEMPORARY TABLE t (a)",
	"CREATE TABLE temp.t (a)",
	"CREATE TEMP VIEW things AS SELECT 1 AS id",
	"CREATE TEMP TRIGGER t AFTER INSERT ON things BEGIN SELECT 1; END",
	"CREATE TEMP TRIGGER t AFTER UPDATE ON main.art32_home BEGIN SELECT 1; END",
	"CREATE VIRTUAL TABLE temp.v USING fts5vocab('main', 'notes', 'row')",
	"SELECT * FROM sqlite_temp_schema",
	"SELECT * FROM temp.sqlite_master",

	// Transactions belong to the library.
	"COMMIT",
	"END TRANSACTION",
	"ROLLBACK",
	"SAVEPOINT a",
	"SELECT 1; COMMIT",
	"SELECT 1; ROLLBACK; BEGIN",

	// Settings.
	"PRAGMA foreign_keys = OFF",
	"PRAGMA foreign_keys = ''",
	"PRAGMA foreign_keys",
	"PRAGMA secure_delete = OFF",
	"PRAGMA main.secure_delete = 0",
	"PRAGMA journal_mode = DELETE",
	"PRAGMA journal_mode = OFF",
	"PRAGMA synchronous = OFF",
	"PRAGMA trusted_schema = ON",
	"PRAGMA writable_schema = ON",
	"PRAGMA writable_schema(1)",
	"PRAGMA cell_size_check = OFF",
	"PRAGMA ignore_check_constraints = ON",
	"PRAGMA defer_foreign_keys = ON",
	"PRAGMA recursive_triggers = ON",
	"PRAGMA query_only = ON",
	"PRAGMA read_uncommitted = ON",
	"PRAGMA locking_mode = EXCLUSIVE",
	"PRAGMA temp_store_directory = '/tmp'",
	"PRAGMA temp_store = FILE",
	"PRAGMA mmap_size = 1000000",
	"PRAGMA cache_size = 1",
	"PRAGMA busy_timeout = 0",
	"PRAGMA max_page_count = 1",
	"PRAGMA wal_checkpoint(TRUNCATE)",
	"PRAGMA wal_autocheckpoint = 0",
	"PRAGMA journal_size_limit = 0",
	"PRAGMA user_version = 7",
	"PRAGMA user_version = ''",
	"PRAGMA application_id = 7",
	"PRAGMA schema_version = 7",
	"PRAGMA encoding = 'UTF-16'",
	"PRAGMA auto_vacuum = 1",
	"PRAGMA incremental_vacuum",
	"PRAGMA optimize",
	"PRAGMA shrink_memory",
	"PRAGMA hard_heap_limit = 1000000000",
	"PRAGMA case_sensitive_like = ON",
	"PRAGMA legacy_alter_table = ON",
	"PRAGMA reverse_unordered_selects = ON",
	"PRAGMA database_list",

	// Functions that reach beyond SQL.
	"SELECT fts5(NULL)",
	"SELECT sqlite_log(0, 'x')",

	// SQLite's own tables.
	"SELECT * FROM sqlite_sequence",
	"SELECT * FROM sqlite_stat1",
	"DELETE FROM sqlite_stat1",
}

// own are statements that callers must be able to run.
var own = []string{
	"SELECT * FROM things",
	"SELECT count(*) FROM things",
	"INSERT INTO things (id, tenant_id, n) VALUES ('a', 'b', 1), ('c', 'b', 2)",
	"INSERT INTO things (id, tenant_id, n) VALUES ('a', 'b', 9) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING n",
	"UPDATE things SET n = 3 WHERE id = 'c'",
	"WITH x AS (SELECT n FROM things) SELECT count(*) FROM x",
	"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r",
	"SELECT * FROM view_things",
	"SELECT id, row_number() OVER (ORDER BY n) FROM things",
	"SELECT value FROM json_each('[1,2]')",
	"SELECT json_extract('{\"a\":1}', '$.a'), datetime('now'), upper('x'), round(1.5)",
	"INSERT INTO notes (body) VALUES ('red apple')",
	"SELECT snippet(notes, 0, '', '', '', 5) FROM notes WHERE notes MATCH 'apple'",
	"INSERT INTO parts VALUES ('c')",
	"DELETE FROM things WHERE id = 'c'", // cascades
	"SELECT name FROM sqlite_schema WHERE type = 'table'",
	"PRAGMA table_info(things)",
	"PRAGMA foreign_key_list('parts')",
	"SELECT name FROM pragma_table_info('things')",
	"EXPLAIN QUERY PLAN SELECT * FROM things",
	"SELECT 1; SELECT 2",
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", measure)
	w := open(t, nil)
	a, b := w.tenant(t), w.tenant(t)
	w.insert(t, a, 1)
	w.insert(t, b, 2)
	other := filepath.Join(w.dir, "tenants", b.String()+".db")
	bare := filepath.Join(t.TempDir(), "bare.db")
	if err := w.eng.Close(); err != nil { // so that the files are complete
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(w.dir, "tenants", a.String()+".db"), bare)
	w = openAt(t, w.dir, nil)

	for _, text := range forbidden {
		text := strings.ReplaceAll(text, "OTHER", other)
		t.Run("sqlite/denied/"+text, func(t *testing.T) {
			t.Attr("art32.measure", measure)
			for _, how := range []func(engine.SQLTx, string) error{byExec, byQuery, byPrepare} {
				err := w.inSQL(t.Context(), a, func(tx engine.SQLTx) error { return how(tx, text) })
				want(t, err, engine.Forbidden)
			}
			if err := os.Remove(other + ".copy"); err == nil {
				t.Error("a copy of the other tenant's file was made")
			}
		})
		t.Run("sqlite/works unguarded/"+text, func(t *testing.T) {
			if err := unguarded(t, bare, text); err != nil {
				t.Errorf("the statement fails for another reason: %v", err)
			}
			_ = os.Remove(other + ".copy")
		})
	}
	if n := things(t, w, b); n != 1 {
		t.Errorf("the other tenant has %d things", n)
	}
}

func byExec(tx engine.SQLTx, text string) error {
	_, err := tx.SQLX().Exec(text)
	return err
}

func byQuery(tx engine.SQLTx, text string) error {
	rows, err := tx.SQLX().Queryx(text)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func byPrepare(tx engine.SQLTx, text string) error {
	st, err := tx.SQLX().Preparex(text)
	if err != nil {
		return err
	}
	defer st.Close()
	_, err = st.Exec()
	return err
}

// unguarded runs text on a plain connection to a copy of the file.
func unguarded(t *testing.T, from, text string) error {
	path := filepath.Join(t.TempDir(), "copy.db")
	copyFile(t, from, path)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	for _, before := range preparation(text) {
		if _, err := c.ExecContext(t.Context(), before); err != nil {
			return err
		}
	}
	_, err = c.ExecContext(t.Context(), text)
	return err
}

// preparation is what a statement needs to do its harm.
func preparation(text string) []string {
	switch {
	case strings.HasPrefix(text, "DETACH"):
		return []string{"ATTACH ':memory:' AS b"}
	case strings.Contains(text, "COMMIT"), strings.Contains(text, "ROLLBACK"), strings.Contains(text, "END TRANS"):
		return []string{"BEGIN"}
	}
	return nil
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		tenant := w.tenant(t)
		err := w.inSQL(t.Context(), tenant, func(tx engine.SQLTx) error {
			for _, text := range own {
				if err := byQuery(tx, text); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestFunctions fails when SQLite brings a function that nobody has looked at.
func TestFunctions(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		text, err := os.ReadFile("testdata/functions.txt")
		if err != nil {
			t.Fatal(err)
		}
		reviewed := map[string]bool{}
		for name := range strings.FieldsSeq(string(text)) {
			reviewed[name] = true
		}
		w := open(t, nil)
		var all []string
		err = w.inSQL(t.Context(), w.tenant(t), func(tx engine.SQLTx) error {
			return tx.SQLX().Select(&all, "SELECT DISTINCT name FROM pragma_function_list ORDER BY name")
		})
		if err != nil || len(all) < 50 {
			t.Fatal(len(all), err)
		}
		for _, name := range all {
			if !reviewed[name] && !sqlite.Denied(name) {
				t.Errorf("function %s was not reviewed", name)
			}
		}
	})
}

// TestLongValues: no expression makes a value longer than the limit.
func TestLongValues(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		of := w.tenant(t)
		for _, text := range []string{
			"SELECT length(hex(zeroblob(499999990)))", "SELECT length(zeroblob(999999999))", "SELECT length(printf('%900000000d', 1))",
			"WITH RECURSIVE d(n, s) AS (SELECT 0, 'x' UNION ALL SELECT n + 1, s || s FROM d WHERE n < 29) SELECT max(length(s)) FROM d",
		} {
			var n int64
			err := w.inSQL(t.Context(), of, func(tx engine.SQLTx) error { return tx.SQLX().Get(&n, text) })
			if err == nil && n > 0 {
				t.Errorf("%s: made %d bytes", text, n)
			}
		}
		var n int64
		if err := w.inSQL(t.Context(), of, func(tx engine.SQLTx) error {
			return tx.SQLX().Get(&n, "SELECT length(hex(zeroblob(1000000)))")
		}); err != nil || n != 2_000_000 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestUserMigrations: what the user's own migrations may not do.
func TestUserMigrations(t *testing.T) {
	t.Parallel()
	refused := map[string]string{
		"trigger into the library": "CREATE TABLE a (b); CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM art32_home; END;",
		"view of the library":      "CREATE VIEW v AS SELECT * FROM \"ART32_home\";",
		"drop":                     "DROP TABLE art32_outbox;",
		"rename":                   "CREATE TABLE a (b); ALTER TABLE a RENAME TO art32_a;",
		"attach":                   "ATTACH ':memory:' AS m;",
		"vacuum":                   "VACUUM;",
		"commit":                   "CREATE TABLE a (b); COMMIT; BEGIN;",
		"temporary table":          "CREATE TEMP TABLE a (b);",
		"writable schema":          "PRAGMA writable_schema = ON;",
		"foreign keys":             "PRAGMA foreign_keys = OFF;",
		"raw pages":                "CREATE TABLE a AS SELECT * FROM sqlite_dbpage;",
	}
	for name, text := range refused {
		t.Run("sqlite/"+name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", measure)
			o := &sqlite.Options{Migrations: fstest.MapFS{"0001_a.sql": {Data: []byte(text)}}}
			w, err := tryOpen(t.Context(), filepath.Join(t.TempDir(), "d"), o)
			if err != nil {
				return // refused before any file was touched
			}
			defer w.eng.Close()
			tenant := w.tenant(t)
			_, err = w.exec(t.Context(), tenant, "SELECT 1")
			if err == nil {
				t.Fatal("the migration ran")
			}
			entries, err := os.ReadDir(filepath.Join(w.dir, "tenants"))
			if err != nil || len(entries) != 0 {
				t.Fatalf("left behind: %v %v", entries, err)
			}
		})
	}
}

// TestShade: a trigger of the user's that reaches the file by another way does
// not write into the library's tables in the shade of the library's text.
func TestShade(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		tenant := w.tenant(t)
		w.insert(t, tenant, 1)
		if err := w.eng.Close(); err != nil {
			t.Fatal(err)
		}
		plant(t, filepath.Join(w.dir, "tenants", tenant.String()+".db"),
			"CREATE TRIGGER evil AFTER UPDATE ON things BEGIN UPDATE art32_home SET lines = ''; END")
		w = openAt(t, w.dir, nil)
		_, err := w.exec(t.Context(), tenant, "UPDATE things SET n = 2")
		want(t, err, engine.Forbidden)
	})
}

// plant changes a file without the guard.
func plant(t testing.TB, path string, texts ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignTenant: no tenant's text reaches the file of another.
func TestForeignTenant(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		a, b := w.tenant(t), w.tenant(t)
		row := w.insert(t, b, 7)
		var n int
		err := w.inSQL(t.Context(), a, func(tx engine.SQLTx) error {
			return tx.SQLX().Get(&n, "SELECT count(*) FROM things WHERE id = ? OR 1 = 1", row)
		})
		if err != nil || n != 0 {
			t.Fatal(n, err)
		}
		if n := one[int](t, w, a, "SELECT count(*) FROM things"); n != 0 {
			t.Fatal(n)
		}
		_, err = w.exec(t.Context(), uuid.Nil, "SELECT * FROM things")
		want(t, err, engine.Other) // the platform has no such table
	})
}
