package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/art32/art32/internal/engine"
)

// insertForB inserts a copy of a row of A that names B.
const insertForB = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {copy}"

// pgAttacks are the probes of PostgreSQL that try something on each table.
func pgAttacks() []Probe {
	return of(Postgres,
		probe("read", "A statement reads no row of another tenant, though it spells out its id.",
			"Eine Anweisung liest keine Zeile eines anderen Mandanten, auch wenn sie dessen Kennung nennt.", onTables(
				both(none("SELECT count(*) FROM {table} WHERE {tenant} = '{B}'")),
				both(none("SELECT count(*) FROM {table} WHERE {key} = '{rowB}' AND {tenant} <> '{A}'")),
				none("SELECT count(*) FROM ONLY {table} TABLESAMPLE system (100) WHERE {tenant} = '{B}'"),
				none("SELECT count(*) FROM (SELECT * FROM {table} WHERE {tenant} = '{B}' FOR UPDATE) l"),
				none("SELECT count(*) FROM {table} x JOIN {table} y ON y.{tenant} = '{B}'"),
				none("SELECT (strpos(table_to_xml('{name}', true, true, '')::text, '{B}') > 0)::int"),
				none("SELECT (strpos(query_to_xml('SELECT * FROM {name}', true, true, '')::text, '{B}') > 0)::int"),
			)),
		probe("write", "No row can be written for another tenant, moved to it, changed or deleted.",
			"Für einen anderen Mandanten kann keine Zeile angelegt, zu ihm verschoben, geändert oder gelöscht werden.", onTables(
				both(must(insertForB)),
				both(must("UPDATE {table} SET {tenant} = '{B}' WHERE {tenant} = '{A}' AND {key} = '{rowA}'")),
				both(none("UPDATE {table} SET {tenant} = {tenant} WHERE {tenant} = '{B}'")),
				both(none("DELETE FROM {table} WHERE {tenant} = '{B}'")),
				none("WITH u AS (UPDATE {table} SET {tenant} = {tenant} WHERE {tenant} = '{B}' RETURNING 1) SELECT count(*) FROM u"),
			)),
		probe("upsert", "ON CONFLICT reaches no row of another tenant, neither to change it nor to pass over it in silence.",
			"ON CONFLICT erreicht keine Zeile eines anderen Mandanten, weder ändernd noch stillschweigend übergehend.", onTables(
				must(insertForB+" ON CONFLICT DO NOTHING"),
				must("INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {taken} ON CONFLICT DO NOTHING"),
				must("INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {taken} ON CONFLICT ({conflict}) DO UPDATE SET {key} = EXCLUDED.{key}"),
			)),
		probe("merge", "MERGE reaches no row of another tenant.", "MERGE erreicht keine Zeile eines anderen Mandanten.", onTables(
			none("MERGE INTO {table} t USING (SELECT 1) s ON t.{tenant} = '{B}' WHEN MATCHED THEN DELETE"),
			none("MERGE INTO {table} t USING (SELECT 1) s ON t.{tenant} = '{B}' WHEN MATCHED THEN UPDATE SET {tenant} = '{A}'"),
			must("MERGE INTO {table} t USING {copy} ON false WHEN NOT MATCHED THEN INSERT ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})"),
		)),
		probe("copy", "COPY is refused, or shows the tenant's own rows alone.",
			"COPY wird abgelehnt oder zeigt allein die eigenen Zeilen.", onTables(
				none("COPY (SELECT 1 FROM {table} WHERE {tenant} = '{B}') TO STDOUT"), must("COPY {table} FROM STDIN"),
			)),
		probe("row-security-off", "Row-level security cannot be switched off by a setting.",
			"Der Zeilenschutz lässt sich nicht durch eine Einstellung abschalten.", onTables(
				after(must("SELECT count(*) FROM {table}"), "SET LOCAL row_security = off"),
			)),
		probe("no-context", "Without a tenant no row is seen.", "Ohne Mandant ist keine Zeile sichtbar.", onTables(
			after(none("SELECT count(*) FROM {table}"), "SET LOCAL art32.ctx = ''", "SET LOCAL art32.tenant = ''"),
			after(none("SELECT count(*) FROM {table}"), "RESET art32.ctx"),
			after(none("SELECT count(*) FROM {table} WHERE {tenant} = '{B}'"), "SET LOCAL art32.tenant = '{B}'"),
		), onLibrary("SELECT count(*) FROM {table}", "SELECT count(set_config('art32.tenant', '', true)) * 0")),
		probe("forged-context", "The context names no other tenant than the library has sealed: plain, changed, prolonged, expired or replayed.",
			"Der Kontext nennt keinen anderen Mandanten als den versiegelten: weder im Klartext noch verändert, verlängert, abgelaufen oder wiederholt.",
			forgedContext),
		probe("generic-plan", "A plan that was made for one tenant is evaluated anew for the next.",
			"Ein Plan, der für einen Mandanten entstand, wird für den nächsten neu ausgewertet.", genericPlan),
		probe("prepared-plan", "A prepared plan follows the context and the role, below WITH and in a role that was taken later.",
			"Ein vorbereiteter Plan folgt Kontext und Rolle, auch unter WITH und in einer später angenommenen Rolle.", onTables(
				after(none("EXECUTE art32_probe"), "SET LOCAL plan_cache_mode = force_generic_plan",
					"PREPARE art32_probe AS WITH x AS (SELECT * FROM {table}) SELECT count(*) FROM x", "EXECUTE art32_probe", "SET LOCAL art32.ctx = ''"),
				after(none("EXECUTE art32_probe"), "PREPARE art32_probe AS SELECT count(*) FROM (SELECT * FROM {table}) x WHERE {tenant} = '{B}'",
					"EXECUTE art32_probe", "SET LOCAL ROLE art32_app"),
			)),
		probe("side-channels", "No error and no function of a condition tells anything of rows behind the policy.",
			"Kein Fehler und keine Funktion einer Bedingung verrät etwas über Zeilen hinter der Richtlinie.", onTables(
				tells(none("SELECT count(*) FROM {table} WHERE 1 / ({tenant} <> '{B}')::int = 0"), "22012"),
				tells(none("SELECT count(*) FROM {table} WHERE (CASE WHEN {tenant} = '{B}' THEN {tenant}::text ELSE '1' END)::int = 0"), "22P02"),
			)),
		probe("statistics", "Statistics of the values in all tenants' rows cannot be read, nor what plans estimate by them. About how many rows a table has in all is no secret in PostgreSQL.",
			"Statistiken über die Werte in den Zeilen aller Mandanten sind nicht lesbar, auch nicht, was Pläne nach ihnen schätzen. Wie viele Zeilen eine Tabelle ungefähr insgesamt hat, ist in PostgreSQL kein Geheimnis.", onTables(
				none("SELECT count(*) FROM pg_catalog.pg_stats WHERE to_regclass(quote_ident(schemaname) || '.' || quote_ident(tablename)) = '{name}'::regclass"),
				none("SELECT count(*) FROM pg_catalog.pg_stats_ext WHERE to_regclass(quote_ident(schemaname) || '.' || quote_ident(tablename)) = '{name}'::regclass"),
				must("SELECT count(*) FROM pg_catalog.pg_statistic"), must("EXPLAIN SELECT * FROM {table} WHERE {tenant} = '{B}'"),
			)),
		probe("trigger-effects", "What one tenant inserts, changes and deletes leaves another's rows as they are, by whatever trigger.",
			"Was ein Mandant anlegt, ändert und löscht, lässt die Zeilen eines anderen unberührt, durch welchen Trigger auch immer.", triggerEffects),
	)
}

// probe is one of those below.
func probe(name, english, german string, checks ...func(context.Context, *prober) []Result) Probe {
	return Probe{Name: name, Explanation: Text{english, german}, check: func(ctx context.Context, p *prober) (all []Result) {
		for _, check := range checks {
			all = append(all, check(ctx, p)...)
		}
		return merged(all)
	}}
}

// merged keeps the worst result of each object, and all that is said of it.
func merged(all []Result) (out []Result) {
	rank := map[State]int{Held: 0, NotProbed: 1, Broken: 2}
	at := map[string]int{}
	for _, r := range all {
		i, seen := at[r.Object]
		switch {
		case !seen:
			at[r.Object] = len(out)
			out = append(out, r)
		case rank[r.State] > rank[out[i].State]:
			out[i] = r
		case r.State == Broken && out[i].State == Broken && r.What != out[i].What:
			out[i].What = Text{out[i].What.English + "; " + r.What.English, out[i].What.German + "; " + r.What.German}
		}
	}
	return out
}

// of gives probes their engine.
func of(engine string, all ...Probe) []Probe {
	for i := range all {
		all[i].Engine = engine
	}
	return all
}

// onLibrary tries on each table, under the library's login, a text that must hit
// nothing.
func onLibrary(text string, before ...string) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) (all []Result) {
		for _, t := range p.tables {
			if t.ofA == 0 || t.ofB == 0 {
				continue
			}
			a := attack{text: text, before: before}
			n, err := p.library(ctx, p.a, t.fill(p, a)...)
			switch {
			case err == nil && n != 0:
				all = append(all, broken(t.name, fmt.Sprintf("%s (library): %d rows", text, n), fmt.Sprintf("%s (library): %d Zeilen", text, n)))
			case err != nil && kindOf(err) != engine.Forbidden:
				all = append(all, stoppedAt(t.name, err))
			default:
				all = append(all, held(t.name))
			}
		}
		return all
	}
}

// genericPlan reads as A and as B by one plan on one connection of the library.
func genericPlan(ctx context.Context, p *prober) (all []Result) {
	for _, t := range p.tables {
		if t.ofA == 0 || t.ofB == 0 {
			continue
		}
		var foreign int64
		err := p.inLibrary(ctx, p.a, func(run runner) (err error) {
			count := engine.Stmt{SQL: "SELECT count(*) FROM " + t.sql + " WHERE " + t.tenant + " = '" + p.a.String() + "'"}
			if _, err = run.once("SELECT count(set_config('plan_cache_mode', 'force_generic_plan', true))"); err != nil {
				return err
			}
			if _, err = run(count); err != nil { // prepared under a name
				return err
			}
			if _, err = run.once("SELECT count(set_config('art32.tenant', '" + p.b.String() + "', true))"); err != nil {
				return err
			}
			foreign, err = run(count)
			return err
		})
		switch {
		case foreign != 0:
			all = append(all, broken(t.name, fmt.Sprintf("%d rows of the tenant before", foreign), fmt.Sprintf("%d Zeilen des vorigen Mandanten", foreign)))
		case err != nil && kindOf(err) != engine.Forbidden:
			all = append(all, stoppedAt(t.name, err))
		default:
			all = append(all, held(t.name))
		}
	}
	return all
}

// triggerEffects lets A work on its rows and compares what B has.
func triggerEffects(ctx context.Context, p *prober) (all []Result) {
	for _, t := range p.tables {
		if !t.declared || t.ofA == 0 || t.ofB == 0 || t.key == "" {
			continue
		}
		var of []Result
		var stopped Text
		tried := false
		for _, text := range []string{
			"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {again}",
			"UPDATE {table} SET {key} = {key} WHERE {tenant} = '{A}' AND {key} = '{rowA}'",
			"UPDATE {table} SET ({columns}) = (SELECT {columns} FROM {table} x WHERE x.{tenant} = '{A}' AND x.{key} = '{rowA}') WHERE {tenant} = '{A}' AND {key} = '{rowA}'",
			"DELETE FROM {table} WHERE {tenant} = '{A}' AND {key} = '{rowA}'",
		} {
			result, ran := p.effect(ctx, t, text)
			tried = tried || ran
			if result.State != Held || ran {
				of = append(of, result)
			}
			stopped = result.What
		}
		if !tried && len(of) == 0 { // not one of the texts was carried out
			of = []Result{{Object: t.name, State: NotProbed, What: stopped}}
		}
		all = append(all, of...)
	}
	return all
}

// effect runs a text for A and compares the rows of B in the same transaction.
func (p *prober) effect(ctx context.Context, t table, text string) (result Result, ran bool) {
	result = held(t.name)
	err := p.inLibrary(ctx, p.a, func(run runner) error {
		before, err := p.sums(run)
		if err != nil {
			return err
		}
		if _, err := run.once("SELECT count(set_config('art32.tenant', '" + p.a.String() + "', true))"); err != nil {
			return err
		}
		if _, err := run.once(t.fill(p, attack{text: text})[0]); err != nil {
			result.What = told(map[string]int{code(err): 1})
			return nil // nothing was done
		}
		ran = true
		after, err := p.sums(run)
		for i, name := range p.names() {
			if err == nil && before[i] != after[i] {
				result = broken(t.name, text+": rows of another tenant in "+name+" are not as they were",
					text+": Zeilen eines anderen Mandanten in "+name+" haben sich geändert")
			}
		}
		return err
	})
	if err != nil {
		return stoppedAt(t.name, err), false
	}
	return result, ran
}

// sums are figures over the rows of B in each declared table.
func (p *prober) sums(run runner) (all []int64, err error) {
	if _, err := run.once("SELECT count(set_config('art32.tenant', '" + p.b.String() + "', true))"); err != nil {
		return nil, err
	}
	for _, t := range p.tables {
		if !t.declared {
			continue
		}
		n, err := run.once("SELECT coalesce(bit_xor(hashtextextended(x::text, 0)), 0) # count(*) FROM " + t.sql + " x WHERE " + t.tenant + " = '" + p.b.String() + "'")
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// patience bounds what may wait for a second connection.
const patience = 5 * time.Second
