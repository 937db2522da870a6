package audit_test

import (
	"context"
	"fmt"
	"testing"
)

var auditTables = []string{"events", "event_parts", "logs", "tiles", "checkpoints"}

// snapshot copies the log's tables aside and returns what puts them back, with
// the indexes that may have been dropped.
func (w *world) snapshot(t *testing.T) func() {
	t.Helper()
	texts := make([]string, 0, len(auditTables))
	for _, table := range auditTables {
		texts = append(texts, `DROP TABLE IF EXISTS copy_`+table, `CREATE TABLE copy_`+table+` AS SELECT * FROM art32.`+table) //nolint:unqueryvet // a copy of all
	}
	w.raw(t, texts...)
	return func() { w.restore(t) }
}

func (w *world) restore(t *testing.T) {
	t.Helper()
	texts := make([]string, 0, 2*len(auditTables))
	for i := len(auditTables) - 1; i >= 0; i-- {
		texts = append(texts, `DELETE FROM art32.`+auditTables[i])
	}
	for _, table := range auditTables {
		overriding := ""
		if table == "events" && w.engine == "postgres" {
			overriding = " OVERRIDING SYSTEM VALUE"
		}
		texts = append(texts, `INSERT INTO art32.`+table+overriding+` SELECT * FROM copy_`+table, `DROP TABLE copy_`+table) //nolint:unqueryvet // a copy of all
	}
	// Indexes live in the schema of their table; on creation it is not named.
	prefix := "art32_"
	if w.engine == "postgres" {
		prefix = ""
	}
	texts = append(texts,
		`CREATE UNIQUE INDEX IF NOT EXISTS `+prefix+`events_id ON art32.events (tenant_id, id)`,
		`CREATE UNIQUE INDEX IF NOT EXISTS `+prefix+`events_leaf ON art32.events (tenant_id, leaf) WHERE leaf >= 0`)
	w.raw(t, texts...)
}

// checkpoint is the newest checkpoint of tenant a.
func (w *world) checkpoint(t *testing.T) []byte {
	t.Helper()
	db := w.rawDB(t)
	defer db.Close()
	table := "art32.checkpoints"
	if w.engine == "sqlite" {
		table = "art32_checkpoints"
	}
	var note string
	must(t, db.QueryRowContext(context.WithoutCancel(t.Context()),
		fmt.Sprintf("SELECT note FROM %s WHERE tenant_id = '%s' ORDER BY size DESC LIMIT 1", table, w.a)).Scan(&note))
	return []byte(note)
}
