package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func (w *world) erase(t *testing.T, subject uuid.UUID) {
	t.Helper()
	must(t, w.db.Erase(w.in(t.Context(), w.a), subject))
}

func TestErasureLeavesTheLogVerifiable(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.sealed(t, 5)
		cp := w.checkpoint(t)
		ctx := w.in(t.Context(), w.a)
		must(t, customers.Edit(ctx, w.db, all[2].ID, func(c *customer) error { c.Plan = "pro"; return nil }))
		w.erase(t, all[2].ID) // one of its two events is not sealed yet
		w.erase(t, all[2].ID) // repeating adds an entry, and does no harm
		w.seal(t)
		r := w.wantOK(t, &audit.VerifyOptions{Log: w.log, Checkpoints: [][]byte{cp}})
		if r.Erased != 2 || r.Size != 8 {
			t.Errorf("got %+v", r)
		}
		for _, e := range w.entries(ctx, t, audit.Filter{}) {
			want := e.Object == all[2].ID
			if e.Erased != want || (e.Reason == "") != (want || e.Action == "audit.erase") {
				t.Errorf("got %#v", e)
			}
			if e.Action == "audit.erase" && (e.Object != uuid.Nil || len(e.Fields) != 0) {
				t.Errorf("says whose: %#v", e)
			}
		}
		dir := filepath.Join(t.TempDir(), "export")
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
	})
}

// A write about an erased person is still recorded, without what is personal.
func TestChangeOfErasedPerson(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.customers(t, 1)[0]
		w.erase(t, c.ID)
		ctx := w.in(t.Context(), w.a)
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Change(ctx, tx, tenancy.Change{
				Action: "customers.update", Object: c.ID, Subject: c.ID, Outcome: tenancy.Done, Fields: []tenancy.FieldChange{
					{Column: "plan", Class: tenancy.Open, Old: "basic", New: "pro"},
					{Column: "city", Class: tenancy.Personal, Old: "Xanten-Zweitort", New: ""},
				},
			})
		}))
		got := w.entries(ctx, t, audit.Filter{Action: "customers.update"})
		if len(got) != 1 || got[0].Erased || len(got[0].Fields) != 1 || got[0].Fields[0].Column != "plan" || got[0].Reason != "" ||
			len(got[0].Withheld) != 2 {
			t.Errorf("got %#v", got)
		}
		w.seal(t)
		w.wantOK(t, nil)
	})
}

// No byte of the database or of an export holds what the log encrypts.
func TestNoPlaintext(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		c := w.sealed(t, 3)[0]
		ctx := w.in(t.Context(), w.a)
		rec, err := audit.NewRecorder(w.log, w.db)
		must(t, err)
		must(t, rec.Record(ctx, "session.open"))
		must(t, customers.Delete(ctx, w.db, c.ID))
		w.seal(t)
		dir := filepath.Join(t.TempDir(), "export")
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		haystack := append(readAll(t, dir), w.logged.Bytes()...)
		haystack = append(haystack, w.dump(t)...)
		for _, canary := range []string{"petra.gruenwald", "Grünwald", "Xanten-Zweitort"} {
			if bytes.Contains(haystack, []byte(canary)) {
				t.Errorf("%q lies in clear", canary)
			}
		}
		if !bytes.Contains(haystack, []byte("customers.delete")) {
			t.Error("the haystack holds no events")
		}
	})
}

// dump is all that the log's tables hold.
func (w *world) dump(t *testing.T) []byte {
	t.Helper()
	db := w.rawDB(t)
	defer db.Close()
	var all []byte
	prefix := "art32."
	if w.engine == "sqlite" {
		prefix = "art32_"
	}
	for _, table := range auditTables {
		all = append(all, dumpTable(t, db, prefix+table)...)
	}
	return all
}

func dumpTable(t *testing.T, db *sql.DB, table string) (all []byte) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table) //nolint:unqueryvet // all there is
	must(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(t, err)
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new([]byte)
	}
	for rows.Next() {
		must(t, rows.Scan(values...))
		for _, v := range values {
			all = append(all, *v.(*[]byte)...)
		}
	}
	must(t, rows.Err())
	return all
}
