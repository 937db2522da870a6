package probe

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// look is a query whose rows are what should not be: an object, and what says.
type look struct {
	query   string
	says    Text // with %s for the second column
	library bool // under the library's login, too
}

// looks runs queries over the catalogue, and holds where they find nothing.
func looks(all ...look) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) (out []Result) {
		for _, l := range all {
			readers := []func(context.Context, string) ([][]string, error){p.seenByCaller}
			if l.library {
				readers = append(readers, func(ctx context.Context, q string) ([][]string, error) { return p.texts(ctx, uuid.Nil, 2, q) })
			}
			for _, read := range readers {
				rows, err := read(ctx, l.query)
				if err != nil {
					out = append(out, stoppedAt("", err))
				}
				for _, r := range rows {
					out = append(out, broken(r[0], fill(l.says.English, r[1]), fill(l.says.German, r[1])))
				}
			}
		}
		return out
	}
}

func fill(format, what string) string { return strings.ReplaceAll(format, "%s", what) }

// seenByCaller reads two columns of text as callers' text of A.
func (p *prober) seenByCaller(ctx context.Context, query string) (all [][]string, err error) {
	err = p.inCaller(ctx, engine.Scope{Tenant: p.a}, func(tx engine.SQLTx) error {
		rows, err := tx.SQLX().QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r := make([]string, 2)
			if err := rows.Scan(&r[0], &r[1]); err != nil {
				return err
			}
			all = append(all, r)
		}
		return rows.Err()
	})
	return all, err
}

// What the queries below say again and again.
const (
	// foreign leaves out the schemas of the server and of the library.
	foreign = ` n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT LIKE 'art32%' `
	// reached says that the login may do something with relation c.
	reached = ` has_schema_privilege(c.relnamespace, 'USAGE') AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')
		OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE')) `
	// tenants are the tables with the library's policy and all that hangs below them.
	tenants = `WITH RECURSIVE tenants AS (
	SELECT p.polrelid AS id, a.attnum AS tenant, p.polrelid AS root FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		AND pg_get_expr(p.polqual, p.polrelid) LIKE '(' || quote_ident(a.attname) || ' = %'
	WHERE p.polname = 'art32_library' AND` + foreign + `
	UNION SELECT i.inhrelid, t.tenant, t.root FROM tenants t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.id
) `
)

// pgCatalogue are the probes of PostgreSQL that look at what is granted and declared.
// They are queries of their own, not those of Open: what it overlooks, they need not.
func pgCatalogue() []Probe {
	all := of(Postgres,
		probe("roles", "Neither login steps over row-level security, or is a member of a role that does or that reaches the server.",
			"Keine der beiden Anmeldungen übergeht den Zeilenschutz oder gehört einer Rolle an, die das tut oder den Server erreicht.", looks(
				look{`SELECT current_user::text, rolname::text FROM pg_catalog.pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')
					AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)`, Text{"it is, or belongs to, %s, which steps over row-level security or makes roles", "sie ist %s oder gehört dazu; diese Rolle übergeht den Zeilenschutz oder legt Rollen an"}, true},
				look{`SELECT current_user::text, rolname::text FROM pg_catalog.pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')
					AND rolname LIKE 'pg\_%' AND rolname <> 'pg_database_owner'`, Text{"it belongs to %s", "sie gehört zu %s"}, true},
				look{`SELECT c.oid::regclass::text, current_user::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
					WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND` + foreign + `AND pg_has_role(current_user, c.relowner, 'MEMBER')`, Text{"it belongs to the login %s", "sie gehört der Anmeldung %s"}, true})),
		probe("set-role", "A statement cannot take another role.", "Eine Anweisung kann keine andere Rolle annehmen.", setRole),
		probe("replication", "No login may stream the changes of all tenants.", "Keine Anmeldung kann die Änderungen aller Mandanten mitlesen.", looks(
			look{`SELECT current_user::text, 'REPLICATION' FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolreplication`, Text{"it has the attribute %s", "sie hat das Attribut %s"}, true})),
		probe("row-security", "Each table of tenants that can be reached has row-level security, for its owner too, partitions as well.",
			"Jede erreichbare Tabelle mit Mandantendaten hat den Zeilenschutz, auch für ihren Eigentümer; Partitionen ebenso.", looks(
				look{tenants + `SELECT c.oid::regclass::text, '' FROM tenants t JOIN pg_catalog.pg_class c ON c.oid = t.id
					WHERE NOT (c.relrowsecurity AND c.relforcerowsecurity) AND (t.id = t.root OR` + reached + `)`,
					Text{"row-level security is off, or not forced", "der Zeilenschutz ist aus oder nicht erzwungen"}, true},
				look{`SELECT c.oid::regclass::text, '' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
					WHERE c.relkind IN ('r', 'p', 'f') AND` + foreign + `AND` + reached + `AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`,
					Text{"it can be reached and has no forced row-level security", "sie ist erreichbar und hat keinen erzwungenen Zeilenschutz"}, false})),
		probe("policies", "A second permissive policy opens nothing: a restrictive one stands behind it for each login.",
			"Eine zweite erlaubende Richtlinie öffnet nichts: dahinter steht für jede Anmeldung eine einschränkende.", looks(
				look{tenants + `SELECT c.oid::regclass::text, g FROM tenants t JOIN pg_catalog.pg_class c ON c.oid = t.id, unnest(ARRAY['art32_library', 'art32_app', 'art32_across']) g
					WHERE (t.id = t.root AND g <> 'art32_across' OR has_table_privilege(g, c.oid, 'SELECT, INSERT, UPDATE, DELETE')) AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy x
						WHERE x.polrelid = c.oid AND NOT x.polpermissive AND x.polcmd = '*' AND x.polqual IS NOT NULL AND (0 = ANY (x.polroles) OR g::regrole = ANY (x.polroles)))`,
					Text{"nothing restricts %s beside the permissive policy", "neben der erlaubenden Richtlinie schränkt nichts %s ein"}, false})),
		probe("privileges", "No login may TRUNCATE, put triggers on, or refer to a table of tenants.",
			"Keine Anmeldung darf Tabellen mit Mandantendaten leeren (TRUNCATE), ihnen einen Trigger geben oder auf sie verweisen.", looks(
				look{`SELECT c.oid::regclass::text, p FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(ARRAY['TRUNCATE', 'TRIGGER', 'REFERENCES']) p
					WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_%'
					AND (has_table_privilege(c.oid, p) OR p = 'REFERENCES' AND has_any_column_privilege(c.oid, p))`, Text{"%s is granted", "%s ist erteilt"}, true},
				look{tenants + `SELECT t.id::regclass::text, r.rolname::text FROM tenants t JOIN pg_catalog.pg_roles r ON pg_has_role(r.oid, 'art32_across', 'USAGE') AND NOT r.rolsuper
					WHERE has_table_privilege(r.oid, t.id, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES') OR has_any_column_privilege(r.oid, t.id, 'INSERT, UPDATE, REFERENCES')`,
					Text{"%s, which reads over tenants, may do more than read", "%s liest mandantenübergreifend und darf mehr als lesen"}, false})),
		probe("publications", "No publication carries rows of tenants out of the database, where no policy holds them.",
			"Keine PUBLICATION trägt Zeilen von Mandanten aus der Datenbank, wo keine Richtlinie sie hält.", looks(
				look{tenants + `SELECT DISTINCT t.id::regclass::text, x.pubname::text FROM pg_catalog.pg_publication x CROSS JOIN LATERAL pg_catalog.pg_get_publication_tables(x.pubname::text) p
					JOIN tenants t ON t.id = p.relid`, Text{"publication %s carries it", "die PUBLICATION %s trägt sie"}, false})),
		probe("create", "No login may create in the database or in a schema.", "Keine Anmeldung darf in der Datenbank oder in einem Schema etwas anlegen.", looks(
			look{`SELECT current_database()::text, current_user::text FROM (SELECT 1) x WHERE has_database_privilege(current_database(), 'CREATE')`, Text{"%s may create schemas", "%s darf Schemata anlegen"}, true},
			look{`SELECT n.nspname::text, current_user::text FROM pg_catalog.pg_namespace n WHERE n.nspname NOT LIKE 'pg\_%' AND has_schema_privilege(n.oid, 'CREATE')`, Text{"%s may create in it", "%s darf darin etwas anlegen"}, true}),
			onDatabase(must("CREATE TABLE public.art32_probe (id int)"), must("CREATE FUNCTION public.art32_probe() RETURNS int LANGUAGE sql AS 'SELECT 1'"))),
		probe("views", "A view that can be reached reads with the rights of who asks, and shows no row of another tenant.",
			"Eine erreichbare Sicht liest mit den Rechten des Fragenden und zeigt keine Zeile eines anderen Mandanten.", looks(
				look{`SELECT c.oid::regclass::text, c.relowner::regrole::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
					WHERE c.relkind = 'v' AND` + foreign + `AND` + reached + `AND NOT coalesce((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions) WHERE option_name = 'security_invoker'), false)`,
					Text{"it reads with the rights of its owner %s", "sie liest mit den Rechten ihres Eigentümers %s"}, false}), viewsShow),
		probe("materialised-views", "No materialised view can be reached: policies do not apply to it.",
			"Keine materialisierte Sicht ist erreichbar: Richtlinien gelten für sie nicht.", looks(
				look{`SELECT c.oid::regclass::text, '' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND` + foreign + `AND` + reached,
					Text{"it can be reached", "sie ist erreichbar"}, false})),
		probe("definer-functions", "No function that can be called runs with the rights of its owner.",
			"Keine aufrufbare Funktion läuft mit den Rechten ihres Eigentümers.", looks(
				look{`SELECT p.oid::regprocedure::text, p.proowner::regrole::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
					WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.oid NOT IN (coalesce(to_regprocedure('art32.sealed_part(int)'), 0::oid), coalesce(to_regprocedure('art32.open_context(text, uuid)'), 0::oid),
						coalesce(to_regprocedure('art32.admit_event(uuid, bigint, uuid, bigint, text, uuid, smallint, bytea, bytea, uuid[], bytea[], text)'), 0::oid))
					AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')`, Text{"it runs with the rights of %s", "sie läuft mit den Rechten von %s"}, false})),
		probe("leaky-functions", "No function or operator of the application is taken for leakproof, which would let it see rows before the policy does.",
			"Keine Funktion und kein Operator der Anwendung gilt als dicht (LEAKPROOF) und sähe so Zeilen vor der Richtlinie.", looks(
				look{`SELECT p.oid::regprocedure::text, p.proowner::regrole::text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
					WHERE p.proleakproof AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND has_function_privilege(p.oid, 'EXECUTE')`,
					Text{"it is marked LEAKPROOF, owner %s", "sie ist als LEAKPROOF markiert, Eigentümer %s"}, true})),
		probe("unique-keys", "No unique or exclusion constraint tells one tenant what another has: each holds the tenant. A key of one uuid, which nobody guesses, is let pass.",
			"Keine Eindeutigkeit verrät einem Mandanten, was ein anderer hat: jede enthält den Mandanten. Ein Schlüssel aus einer einzelnen UUID, die niemand errät, bleibt unbeanstandet.", looks(
				look{tenants + `SELECT t.id::regclass::text, i.relname::text FROM tenants t JOIN pg_catalog.pg_index x ON x.indrelid = t.id JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
					WHERE t.id = t.root AND (x.indisunique OR x.indisexclusion) AND NOT t.tenant = ANY ((x.indkey::int2[])[0:x.indnkeyatts - 1])
					AND NOT (x.indnkeyatts = 1 AND x.indisunique AND EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.id AND a.attnum = x.indkey[0] AND a.atttypid = 'uuid'::regtype))`,
					Text{"%s leaves out the tenant", "%s lässt den Mandanten aus"}, false})),
		probe("foreign-keys", "No foreign key tells that another tenant's row is there, or refers to it: each holds the tenant on both sides.",
			"Kein Fremdschlüssel verrät, dass es die Zeile eines anderen Mandanten gibt, oder verweist auf sie: jeder enthält den Mandanten auf beiden Seiten.", looks(sharedKey("true"))),
		probe("cascades", "No deletion or change carries over to another tenant's row by a foreign key.",
			"Kein Löschen und kein Ändern greift über einen Fremdschlüssel auf Zeilen eines anderen Mandanten über.", looks(sharedKey("(f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd'))"))),
		probe("control-tables", "Callers' text reads no key of the library, and adds or changes no row of its tables, those of the log included.",
			"Text von Aufrufern liest keinen Schlüssel der Bibliothek und fügt ihren Tabellen keine Zeile hinzu und ändert keine, auch nicht im Protokoll.", looks(
				look{`SELECT c.oid::regclass::text, p FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
					WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname LIKE 'art32%' AND has_schema_privilege(n.oid, 'USAGE')
					AND (has_table_privilege(c.oid, p) OR p IN ('INSERT', 'UPDATE') AND has_any_column_privilege(c.oid, p))
					AND NOT (p = 'SELECT' AND (c.oid = to_regclass('art32.ctx') OR c.relrowsecurity AND c.relforcerowsecurity))`, Text{"%s is granted", "%s ist erteilt"}, false}),
			onDatabase(must("SELECT count(*) FROM art32.seal_keys"), must("SELECT count(*) FROM art32_keys.keys"), must("SELECT count(*) FROM art32.tenants"),
				must("DELETE FROM art32.events"), must("INSERT INTO art32.event_parts (tenant_id, event_id, part) SELECT tenant, gen_random_uuid(), 0 FROM art32.ctx"),
				must("SELECT art32.admit_event(gen_random_uuid(), 1, gen_random_uuid(), 1, 'a.b', NULL, '1', '', decode(repeat('00', 32), 'hex'), '{}', '{}', '1.00')"),
				must("UPDATE art32.environment SET name = name"))),
		probe("server", "No statement reaches files or programs of the server.", "Keine Anweisung erreicht Dateien oder Programme des Servers.",
			onDatabase(must("SELECT length(pg_read_file('PG_VERSION'))"), must("SELECT count(*) FROM pg_ls_dir('.')"), must("SELECT lo_import('PG_VERSION')"),
				must("SELECT count(*) FROM pg_catalog.pg_authid"), must("COPY (SELECT 1) TO PROGRAM 'false'"))),
		probe("shared-sessions", "One tenant's text neither sees nor ends the statements of another's.",
			"Text eines Mandanten sieht und beendet keine Anweisungen eines anderen.", looks(
				look{`SELECT p.oid::regprocedure::text, current_user::text FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace
					AND p.proname IN ('pg_terminate_backend', 'pg_cancel_backend', 'pg_stat_get_activity', 'pg_stat_get_backend_activity') AND has_function_privilege(p.oid, 'EXECUTE')`,
					Text{"%s may call it", "%s darf sie aufrufen"}, false}), watching),
		probe("statement-statistics", "No statistics of statements can be read: they hold the texts of all tenants.",
			"Keine Anweisungsstatistik ist lesbar: sie enthält die Texte aller Mandanten.", looks(
				look{`SELECT c.oid::regclass::text, current_user::text FROM pg_catalog.pg_class c WHERE c.relname IN ('pg_stat_statements', 'pg_stat_monitor', 'pg_store_plans') AND c.relkind = 'v' AND` + reached,
					Text{"%s may read it", "%s darf sie lesen"}, false},
				look{`SELECT p.oid::regprocedure::text, current_user::text FROM pg_catalog.pg_proc p WHERE p.proname IN ('pg_stat_statements', 'pg_stat_monitor', 'pg_store_plans') AND p.proretset
					AND has_schema_privilege(p.pronamespace, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')`, Text{"%s may call it", "%s darf sie aufrufen"}, false})),
		probe("large-objects", "No large object can be made: it would belong to all tenants.",
			"Kein Large Object kann angelegt werden: es gehörte allen Mandanten.",
			onDatabase(must("SELECT lo_from_bytea(0, 'x')"), must("SELECT lo_create(0)"), must("SELECT lo_creat(-1)"))),
		probe("write-ahead-log", "No text, even of a transaction that only reads, writes messages into the write-ahead log, where they fill the disk for all.",
			"Kein Text, auch nicht in einer nur lesenden Transaktion, schreibt Nachrichten in das Write-Ahead-Log, wo sie die Platte für alle füllen.",
			onDatabase(must("SELECT pg_logical_emit_message(false, 'art32', 'x')"), must("SELECT pg_logical_emit_message(true, 'art32', 'x'::bytea)"))),
		probe("known-faults", "The server has the corrections of the faults that were published about row-level security.",
			"Der Server enthält die Korrekturen der veröffentlichten Fehler des Zeilenschutzes.", knownFaults),
	)
	for i := range all {
		switch all[i].Name {
		case "unique-keys", "foreign-keys", "cascades":
			all[i].Weakness = "shared-keys"
		case "shared-sessions", "large-objects", "write-ahead-log":
			all[i].Weakness = all[i].Name
		}
	}
	return all
}

// sharedKey finds foreign keys between tables of tenants that leave the tenant out.
func sharedKey(where string) look {
	return look{tenants + `SELECT t.id::regclass::text, f.conname::text FROM tenants t JOIN pg_catalog.pg_constraint f ON f.conrelid = t.id AND f.contype = 'f' AND f.conparentid = 0
		JOIN tenants o ON o.id = f.confrelid WHERE ` + where + ` AND NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) k(own, other) WHERE k.own = t.tenant AND k.other = o.tenant)`,
		Text{"%s leaves out the tenant", "%s lässt den Mandanten aus"}, false}
}

// viewsShow looks in each view that can be reached for the id of B and its rows.
func viewsShow(ctx context.Context, p *prober) (all []Result) {
	views, err := p.seenByCaller(ctx, `SELECT c.oid::regclass::text, '' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'v' AND`+foreign+`AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')`)
	if err != nil {
		return []Result{stoppedAt("", err)}
	}
	for _, v := range views {
		var where strings.Builder
		where.WriteString("x::text LIKE '%" + p.b.String() + "%'")
		for _, t := range p.tables {
			if t.rowB != "" && t.uuidKey {
				where.WriteString(" OR x::text LIKE '%" + t.rowB + "%'")
			}
		}
		n, err := p.caller(ctx, p.a, "SELECT count(*) FROM "+v[0]+" x WHERE "+where.String())
		switch {
		case err == nil && n != 0:
			all = append(all, broken(v[0], fmt.Sprintf("%d rows that name another tenant or its rows", n), fmt.Sprintf("%d Zeilen, die einen anderen Mandanten oder dessen Zeilen nennen", n)))
		case err != nil && kindOf(err) != engine.Forbidden:
			all = append(all, stoppedAt(v[0], err))
		default:
			all = append(all, held(v[0]))
		}
	}
	return all
}

// setRole tries to become each role that there is.
func setRole(ctx context.Context, p *prober) []Result {
	roles, err := p.seenByCaller(ctx, "SELECT quote_ident(rolname), '' FROM pg_catalog.pg_roles WHERE rolname NOT IN (current_user, 'art32_app') AND rolname NOT LIKE 'pg\\_%' ORDER BY pg_has_role(current_user, oid, 'MEMBER') DESC, rolname LIKE 'art32%' DESC, starts_with(rolname::text, current_database()::text) DESC, rolsuper DESC, rolname LIMIT 12")
	if err != nil {
		return []Result{stoppedAt("", err)}
	}
	var attacks []attack
	for _, r := range roles {
		attacks = append(attacks, must("SET LOCAL ROLE "+r[0]), must("SET SESSION AUTHORIZATION "+r[0]), must("SELECT set_config('role', "+literal(unquote(r[0]))+", true)"))
	}
	if len(attacks) == 0 {
		return []Result{notProbed("", "there is no other role", "es gibt keine andere Rolle")}
	}
	return []Result{p.judge(ctx, table{}, attacks)}
}

// watching looks, as A, for a text that B runs at that moment.
func watching(ctx context.Context, p *prober) []Result {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	mark, n := uuid.NewString(), int64(0)
	err := p.inCaller(ctx, engine.Scope{Tenant: p.b}, func(tx engine.SQLTx) error {
		if _, err := execute(ctx, tx, "SELECT length('"+mark+"')"); err != nil {
			return err
		}
		var err error
		n, err = p.caller(ctx, p.a, "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%"+mark+"%'")
		return err
	})
	switch {
	case err == nil && n != 0:
		return []Result{broken("pg_stat_activity", "the text of another tenant's statement shows", "der Text der Anweisung eines anderen Mandanten ist zu sehen")}
	case err != nil && kindOf(err) != engine.Forbidden:
		return []Result{stoppedAt("pg_stat_activity", err)}
	}
	return []Result{held("pg_stat_activity")}
}

// corrected are the minor releases, by major version, that correct what was
// published: CVE-2024-10976 (a plan of another role is used again below a query) and
// CVE-2025-8713 (statistics of rows behind a policy are read), before them
// CVE-2023-39418 (MERGE), CVE-2023-2455, CVE-2019-10130 and CVE-2016-2193. The latest,
// of 2025, names them: https://www.postgresql.org/support/security/CVE-2025-8713/.
var corrected = map[int]int{13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

// knownFaults compares the version of the server.
func knownFaults(_ context.Context, p *prober) []Result {
	major, minor := p.number/10000, p.number%10000
	least, listed := corrected[major]
	if major >= 18 || listed && minor >= least {
		return []Result{held("")}
	}
	if !listed {
		return []Result{broken("", "the server is out of support", "der Server wird nicht mehr gepflegt")}
	}
	return []Result{broken("", fmt.Sprintf("the server is %d.%d; corrected in %d.%d", major, minor, major, least), fmt.Sprintf("der Server ist %d.%d; korrigiert in %d.%d", major, minor, major, least))}
}
