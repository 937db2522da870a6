package probe

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// residue is what one transaction may leave on a connection for the next.
type residue struct {
	leave, look, undo string
}

// pgResidue are the probes of what outlives a transaction on a pooled connection.
// They end one that the database holds to reading, since most of it comes to be with
// the commit alone.
func pgResidue() []Probe {
	return of(Postgres,
		probe("settings", "A setting of one tenant's session does not meet the next.", "Eine Einstellung der Sitzung eines Mandanten trifft den nächsten nicht.", leaves(
			residue{"SET art32_probe.mark = 'here'", "SELECT (coalesce(current_setting('art32_probe.mark', true), '') <> '')::int", "RESET art32_probe.mark"},
			residue{"SET search_path = pg_catalog", "SELECT (current_setting('search_path') = 'pg_catalog')::int", "RESET search_path"},
			residue{"SET ROLE art32_app", "SELECT (current_user <> session_user)::int", "RESET ROLE"},
		)),
		probe("temporary-objects", "No temporary object can be made to stand in for a table of the next.",
			"Kein temporäres Objekt kann angelegt werden, das für eine Tabelle des Nächsten einträte.",
			onDatabase(must("SELECT 1 AS id INTO TEMP art32_probe"), must("CREATE TEMP TABLE art32_probe (id int)"), must("CREATE FUNCTION pg_temp.art32_probe() RETURNS int LANGUAGE sql AS 'SELECT 1'")),
			looks(look{`SELECT current_database()::text, current_user::text FROM (SELECT 1) x WHERE has_database_privilege(current_database(), 'TEMP')`, Text{"%s may make temporary tables", "%s darf temporäre Tabellen anlegen"}, true})),
		probe("prepared-names", "A prepared name of one tenant's does not meet the next, and none that the driver uses can be replaced.",
			"Ein vorbereiteter Name eines Mandanten trifft den nächsten nicht; keiner, den der Treiber nutzt, lässt sich ersetzen.", leaves(
				residue{"PREPARE art32_left AS SELECT 1", "SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE name = 'art32_left'", "DEALLOCATE art32_left"},
			), replacedName),
		probe("cursors", "A cursor of one tenant's does not meet the next.", "Ein Cursor eines Mandanten trifft den nächsten nicht.", leaves(
			residue{"DECLARE art32_probe CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_catalog.pg_cursors WHERE name = 'art32_probe'", "CLOSE ALL"},
		)),
		probe("notify", "The next on a connection hears no channel of the one before. Channels themselves belong to all tenants of a database: a payload must hold nothing of a tenant's.",
			"Wer eine Verbindung übernimmt, hört keinen Kanal des Vorigen. Die Kanäle selbst gehören allen Mandanten einer Datenbank: eine Nachricht darf nichts von einem Mandanten enthalten.", leaves(
				residue{"LISTEN art32_probe", "SELECT count(*) FROM pg_listening_channels()", "UNLISTEN *"},
			)),
		probe("advisory-locks", "The next on a connection holds no lock of the one before. Advisory locks themselves belong to all tenants of a database: one can make another wait.",
			"Wer eine Verbindung übernimmt, hält keine Sperre des Vorigen. Die freiwilligen Sperren selbst gehören allen Mandanten einer Datenbank: einer kann einen anderen warten lassen.", leaves(
				residue{"SELECT count(*) FROM (SELECT pg_try_advisory_lock(4732, 32)) l", "SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 4732 AND objid = 32", "SELECT count(pg_advisory_unlock_all())"},
			)),
		probe("injected-commit", "Text of a caller's cannot end the transaction that it is in.",
			"Text eines Aufrufers kann die Transaktion nicht beenden, in der er steht.",
			onDatabase(must("COMMIT"), must("/* x */ commit work"), must("END"), must("ROLLBACK"), must("COMMIT AND CHAIN"), syntax(must("SELECT 1; COMMIT")), syntax(must("SAVEPOINT s; COMMIT")))),
	)
}

// leaves tries what outlives a transaction.
func leaves(all ...residue) func(context.Context, *prober) []Result {
	return func(ctx context.Context, p *prober) []Result {
		out := held("")
		for _, r := range all {
			if got := p.leave(ctx, r); got.State == Broken || out.State == Held {
				out = got
			}
		}
		return []Result{out}
	}
}

// rounds is how often a probe hopes for the connection that it had before.
const rounds = 10

// leave lets A leave something, and B look for it on the same connection.
func (p *prober) leave(ctx context.Context, r residue) Result {
	for range rounds {
		before, err := p.reading(ctx, p.a, r.leave)
		if kindOf(err) == engine.Forbidden {
			return held("")
		}
		if err != nil {
			return stoppedAt("", err)
		}
		met := int64(0)
		after, err := p.reading(ctx, p.b, r.look, func(n int64) string {
			if met = n; n == 0 {
				return "SELECT 1" // there is nothing to take back
			}
			return r.undo
		})
		if err != nil {
			return stoppedAt("", err)
		}
		if before != after {
			continue // it cannot be said what was left
		}
		if met != 0 {
			return broken("", r.leave+": the next tenant on the connection meets it", r.leave+": der nächste Mandant auf der Verbindung trifft es an")
		}
		return held("")
	}
	return notProbed("", "each transaction had another connection", "jede Transaktion hatte eine andere Verbindung")
}

// reading runs a text in a transaction that the database holds to reading, commits
// it, and gives the process that served it. What more makes of the number that was
// read runs behind it.
func (p *prober) reading(ctx context.Context, tenant uuid.UUID, text string, more ...func(int64) string) (pid int64, err error) {
	tx, err := p.eng.BeginSQL(ctx, engine.Scope{Tenant: tenant, Actor: actor, ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx))) }()
	if pid, err = execute(ctx, tx, "SELECT pg_backend_pid()"); err != nil {
		return 0, err
	}
	n, err := execute(ctx, tx, text)
	if err != nil {
		return 0, err
	}
	for _, m := range more {
		if _, err := execute(ctx, tx, m(n)); err != nil {
			return 0, err
		}
	}
	return pid, tx.Commit(ctx)
}

// replacedName puts another text under the name that the driver prepared one with.
func replacedName(ctx context.Context, p *prober) []Result {
	const text = "SELECT 32 AS art32_probe"
	var got int64
	err := p.inCaller(ctx, engine.Scope{Tenant: p.a, ReadOnly: true}, func(tx engine.SQLTx) error {
		for range 2 {
			if _, err := execute(ctx, tx, text); err != nil {
				return err
			}
		}
		var names []string
		if err := tx.SQLX().SelectContext(ctx, &names, "SELECT quote_ident(name) FROM pg_catalog.pg_prepared_statements WHERE statement = '"+text+"'"); err != nil || len(names) == 0 {
			got = 32
			return err
		}
		for _, q := range []string{"DEALLOCATE " + names[0], "PREPARE " + names[0] + " AS SELECT 7"} {
			if _, err := execute(ctx, tx, q); err != nil {
				return err
			}
		}
		var err error
		got, err = execute(ctx, tx, text)
		return err
	})
	switch {
	case err != nil:
		return []Result{stoppedAt("", err)}
	case got != 32:
		return []Result{broken("", "another text ran under the name of a prepared one", "unter dem Namen einer vorbereiteten Anweisung lief eine andere")}
	}
	return []Result{held("")}
}
