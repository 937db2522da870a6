package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// prepareSQLite measures the declared tables in the files of A and B.
func (p *prober) prepareSQLite(ctx context.Context, infos []tenancy.TableInfo) error {
	about, err := p.texts(ctx, uuid.Nil, 1, "SELECT sqlite_version()")
	if err != nil {
		return err
	}
	p.version = about[0][0]
	for _, in := range infos {
		t := table{name: in.Name, sql: `"` + strings.ReplaceAll(in.Name, ".", "_") + `"`, tenant: `"` + in.Tenant + `"`, key: `"` + keyOf(in) + `"`, declared: true}
		for _, of := range []struct {
			id  uuid.UUID
			n   *int64
			row *string
		}{{p.a, &t.ofA, &t.rowA}, {p.b, &t.ofB, &t.rowB}} {
			rows, err := p.texts(ctx, of.id, 2, "SELECT CAST(count(*) AS TEXT), coalesce(CAST(min("+t.key+") AS TEXT), '') FROM "+t.sql)
			if err != nil {
				return err
			}
			if *of.n, err = strconv.ParseInt(rows[0][0], 10, 64); err != nil {
				return err
			}
			*of.row = rows[0][1]
		}
		p.tables = append(p.tables, t)
	}
	return nil
}

// denied tries texts that the authorizer must deny; whatever else they come to, the
// authorizer let them through.
func denied(texts ...string) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) []Result {
		for _, text := range texts {
			filled := strings.ReplaceAll(text, "{B}", p.b.String())
			_, err := p.caller(ctx, p.a, filled)
			if k := kindOf(err); k == engine.Unavailable {
				return []Result{stoppedAt("", err)}
			} else if k != engine.Forbidden {
				return []Result{broken("", text+": not denied", text+": nicht abgelehnt")}
			}
		}
		return []Result{held("")}
	}
}

// sqliteProbes are those of SQLite, where each tenant has a file of its own.
func sqliteProbes() []Probe {
	return of(SQLite,
		probe("own-file", "The file of a tenant holds its rows alone, and no statement of another finds one of them.",
			"Die Datei eines Mandanten enthält allein seine Zeilen, und keine Anweisung eines anderen findet eine davon.", ownFile),
		probe("own-rows", "Changing and deleting all rows leaves those of another tenant as they are.",
			"Das Ändern und Löschen aller Zeilen lässt die eines anderen Mandanten unberührt.", ownRows),
		probe("attach", "No statement opens another file.", "Keine Anweisung öffnet eine andere Datei.", denied(
			"ATTACH ':memory:' AS art32_probe", "ATTACH DATABASE 'file:{B}.db?mode=ro' AS art32_probe", "ATTACH 'tenants/{B}.db' AS art32_probe", "SELECT 1; ATTACH ':memory:' AS art32_probe", "DETACH art32_probe")),
		probe("vacuum", "No statement copies the file.", "Keine Anweisung kopiert die Datei.", denied("VACUUM INTO 'art32-probe-no-such-folder/x.db'", "VACUUM")),
		probe("pragmas", "No statement changes a setting of the file or the connection, the schema by its back door neither.",
			"Keine Anweisung ändert eine Einstellung der Datei oder der Verbindung, auch nicht das Schema durch die Hintertür.", denied(
				"PRAGMA writable_schema = ON", "PRAGMA foreign_keys = OFF", "PRAGMA trusted_schema = ON", "PRAGMA journal_mode = DELETE", "PRAGMA secure_delete = OFF",
				"PRAGMA query_only = OFF", "PRAGMA database_list", "PRAGMA temp_store_directory = ''", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA user_version = 7")),
		probe("functions", "No function reaches code or files.", "Keine Funktion erreicht Code oder Dateien.", denied(
			"SELECT load_extension('art32-probe')", "SELECT fts5(NULL)", "SELECT sqlite_log(0, 'x')")),
		probe("control-tables", "Callers' text reads and writes no table of the library, nor raw pages of the file.",
			"Text von Aufrufern liest und schreibt keine Tabelle der Bibliothek und keine rohen Seiten der Datei.", denied(
				"SELECT * FROM art32_home", "SELECT count(*) FROM art32_events", "UPDATE art32_home SET lines = lines", "DELETE FROM art32_migrations WHERE 0",
				"WITH x AS (SELECT lines FROM art32_home) SELECT * FROM x", "SELECT * FROM sqlite_dbpage", "SELECT * FROM dbstat")),
		probe("schema", "Callers' text makes no table, view or trigger, and no temporary one that would meet another.",
			"Text von Aufrufern legt keine Tabelle, Sicht oder Trigger an, auch keine temporären, die andere träfen.", denied(
				"CREATE TABLE art32_probe_more (a)", "CREATE VIEW probe_more AS SELECT 1", "CREATE TEMP TABLE probe_more (a)", "CREATE TEMP VIEW probe_more AS SELECT 1",
				"CREATE TRIGGER probe_more AFTER UPDATE ON art32_home BEGIN SELECT 1; END", "CREATE TEMP TRIGGER probe_more AFTER UPDATE ON main.art32_home BEGIN SELECT 1; END",
				"SELECT * FROM sqlite_temp_schema")),
		probe("library-triggers", "No trigger or view of the application stands on a table of the library.",
			"Kein Trigger und keine Sicht der Anwendung steht auf einer Tabelle der Bibliothek.", libraryTriggers),
		probe("injected-commit", "Text of a caller's cannot end the transaction that it is in.",
			"Text eines Aufrufers kann die Transaktion nicht beenden, in der er steht.", denied("COMMIT", "END TRANSACTION", "ROLLBACK", "SAVEPOINT probe", "SELECT 1; COMMIT")),
		probe("every-connection", "Each connection of a tenant's pool is guarded, also those opened at the same time.",
			"Jede Verbindung des Pools eines Mandanten ist bewacht, auch gleichzeitig geöffnete.", everyConnection),
	)
}

// ownFile looks in the files of A and B for rows of others.
func ownFile(ctx context.Context, p *prober) (all []Result) {
	for _, t := range p.tables {
		if t.ofA == 0 || t.ofB == 0 {
			all = append(all, notProbed(t.name, "one of the tenants has no row in it", "einer der Mandanten hat keine Zeile darin"))
			continue
		}
		result := held(t.name)
		for _, of := range []struct{ own, key string }{{p.a.String(), t.rowB}, {p.b.String(), t.rowA}} {
			n, err := p.library(ctx, uuid.MustParse(of.own), "SELECT count(*) FROM "+t.sql+" WHERE "+t.tenant+" <> '"+of.own+"'")
			if err == nil && n == 0 {
				n, err = p.caller(ctx, uuid.MustParse(of.own), "SELECT count(*) FROM "+t.sql+" WHERE "+t.tenant+" <> '"+of.own+"'")
			}
			if err == nil && n != 0 {
				result = broken(t.name, fmt.Sprintf("%d rows of another tenant", n), fmt.Sprintf("%d Zeilen eines anderen Mandanten", n))
			} else if err != nil && result.State == Held {
				result = stoppedAt(t.name, err)
			}
		}
		all = append(all, result)
	}
	return all
}

// ownRows lets A change and delete all that it sees, and counts what B has meanwhile.
func ownRows(ctx context.Context, p *prober) (all []Result) {
	for _, t := range p.tables {
		if t.ofA == 0 || t.ofB == 0 {
			continue
		}
		result := held(t.name)
		for _, text := range []string{"UPDATE " + t.sql + " SET " + t.key + " = " + t.key, "DELETE FROM " + t.sql} {
			if got := p.ownRow(ctx, t, text); got.State != Held {
				result = got
			}
		}
		if n, err := p.library(ctx, p.b, "SELECT count(*) FROM "+t.sql); err == nil && n < t.ofB {
			result = broken(t.name, "the rows of another tenant are not as they were", "die Zeilen eines anderen Mandanten haben sich geändert")
		}
		all = append(all, result)
	}
	return all
}

// ownRow lets A write all rows that its file shows it.
func (p *prober) ownRow(ctx context.Context, t table, text string) Result {
	result := held(t.name)
	err := p.inCaller(ctx, engine.Scope{Tenant: p.a}, func(tx engine.SQLTx) error {
		foreign, err := execute(ctx, tx, "SELECT count(*) FROM "+t.sql+" WHERE "+t.tenant+" IS NOT '"+p.a.String()+"'")
		if err != nil {
			return err
		}
		if foreign != 0 {
			result = broken(t.name, fmt.Sprintf("%d rows of another tenant lie in the file", foreign), fmt.Sprintf("%d Zeilen eines anderen Mandanten liegen in der Datei", foreign))
		}
		n, err := execute(ctx, tx, text)
		if err == nil && n > t.ofA {
			result = broken(t.name, fmt.Sprintf("%s: %d rows of %d", text, n, t.ofA), fmt.Sprintf("%s: %d Zeilen von %d", text, n, t.ofA))
		}
		return err
	})
	if err != nil && kindOf(err) != engine.Constraint && result.State == Held { // an application's own keys keep rows
		return stoppedAt(t.name, err)
	}
	return result
}

// libraryTriggers reads the schemas of both files.
func libraryTriggers(ctx context.Context, p *prober) (all []Result) {
	for _, id := range []uuid.UUID{p.a, p.b} {
		rows, err := p.texts(ctx, id, 1, `SELECT name FROM sqlite_schema WHERE (type = 'trigger' AND tbl_name LIKE 'art32\_%' ESCAPE '\')
			OR (type IN ('trigger', 'view') AND name NOT LIKE 'art32\_%' ESCAPE '\' AND sql LIKE '%art32\_%' ESCAPE '\')`)
		if err != nil {
			all = append(all, stoppedAt("", err))
		}
		for _, r := range rows {
			all = append(all, broken(r[0], "it reads, writes or watches a table of the library", "liest, schreibt oder beobachtet eine Tabelle der Bibliothek"))
		}
	}
	return all
}

// atOnce is how many connections every-connection holds at the same time.
const atOnce = 4

// everyConnection holds several connections of A at once, and tries each.
func everyConnection(ctx context.Context, p *prober) []Result {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	result := held("")
	var open func(left int) error
	open = func(left int) error {
		if left == 0 {
			return nil
		}
		return p.inCaller(ctx, engine.Scope{Tenant: p.a, ReadOnly: true}, func(tx engine.SQLTx) error {
			if _, err := execute(ctx, tx, "SELECT 1"); err != nil {
				return err
			}
			if err := open(left - 1); err != nil {
				return err
			}
			if _, err := execute(ctx, tx, "ATTACH ':memory:' AS art32_probe"); kindOf(err) != engine.Forbidden {
				result = broken("", "a connection is not guarded", "eine Verbindung ist nicht bewacht")
			}
			return nil
		})
	}
	if err := open(atOnce); err != nil && result.State == Held && !errors.Is(err, context.Canceled) {
		return []Result{stoppedAt("", err)}
	}
	return []Result{result}
}
