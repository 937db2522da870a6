package audittest

import (
	"context"
	"testing"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// stored is a tenant's log as an administrator of the database has it.
type stored struct {
	w      *tenancytest.World
	tenant tenancy.ID
}

// exec runs statements past all protection.
func (l stored) exec(tb testing.TB, texts ...string) {
	tb.Helper()
	db := l.w.Raw(tb, l.tenant)
	defer db.Close()
	for _, text := range texts {
		text = dialect(l.w.Engine, text, l.tenant)
		if _, err := db.ExecContext(context.WithoutCancel(tb.Context()), text); err != nil {
			tb.Fatalf("audittest: %s: %v", text, err)
		}
	}
}

// tables of a log, those that others refer to first.
var tables = []string{"events", "event_parts", "logs", "tiles", "checkpoints"}

// snapshot copies a tenant's log aside and returns what puts it back, with the
// indexes and the table that a mutation has taken away.
func (l stored) snapshot(tb testing.TB) (restore func()) {
	tb.Helper()
	var texts []string
	for _, table := range tables {
		texts = append(texts, "DROP TABLE IF EXISTS art32_kept_"+table,
			"CREATE TABLE art32_kept_"+table+" AS SELECT * FROM art32."+table+" WHERE tenant_id = TENANT") //nolint:unqueryvet // a copy of all
	}
	l.exec(tb, texts...)
	return func() { l.restore(tb) }
}

func (l stored) restore(tb testing.TB) {
	tb.Helper()
	whose := " WHERE tenant_id = TENANT"
	if l.w.Engine == tenancytest.SQLite {
		whose = "" // of the file, whatever a mutation has made of the id
	}
	var texts []string
	for i := len(tables) - 1; i >= 0; i-- {
		texts = append(texts, "DELETE FROM art32."+tables[i]+whose)
	}
	for _, table := range tables {
		overriding := ""
		if table == "events" && l.w.Engine == tenancytest.Postgres {
			overriding = " OVERRIDING SYSTEM VALUE"
		}
		texts = append(texts, "INSERT INTO art32."+table+overriding+" SELECT * FROM art32_kept_"+table, "DROP TABLE art32_kept_"+table) //nolint:unqueryvet // a copy of all
	}
	// Indexes live in the schema of their table; on creation it is not named.
	prefix := "art32_"
	if l.w.Engine == tenancytest.Postgres {
		prefix = ""
	}
	l.exec(tb, append(texts,
		"CREATE UNIQUE INDEX IF NOT EXISTS "+prefix+"events_id ON art32.events (tenant_id, id)",
		"CREATE UNIQUE INDEX IF NOT EXISTS "+prefix+"events_leaf ON art32.events (tenant_id, leaf) WHERE leaf >= 0")...)
}
