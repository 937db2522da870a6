package pgsource_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

func same(tb testing.TB, want, got map[tenancy.ID][]backup.Table) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("what was loaded is not what was backed up (-want +got):\n%s", diff)
	}
}

// hostile are texts that a format of lines and fields could stumble over.
var hostile = []string{
	"", " ", "\t", "\n", "\r\n", `\`, `\N`, `\.`, "a\n\\.\nb", "tab\there", `back\slash\n`, "'; DROP TABLE plans; --",
	"\v\f\b\x01\x7f", "Grüße, \u6f22\u5b57, 🙂, \u2028, \ufeff", `{"a": [1, "x"]}`, strings.Repeat("x\t\\\n", 5000),
}

// furnish fills every table of the application.
func (w *world) furnish(tb testing.TB) {
	tb.Helper()
	db := admin(tb, w.owner)
	db.MustExec(`UPDATE plans SET name = 'basic' WHERE id = 1; DELETE FROM ONLY plans WHERE id = 2;
		INSERT INTO plans (name) VALUES ('pro'), (E'tab\there'); INSERT INTO old_plans (name, ended) VALUES ('gone', '2020-01-01');
		REFRESH MATERIALIZED VIEW plan_names;
		CREATE TABLE measurements_2026 PARTITION OF measurements FOR VALUES FROM ('2026-01-01 00:00Z') TO ('2027-01-01 00:00Z');
		CREATE TABLE measurements_more PARTITION OF measurements DEFAULT PARTITION BY HASH (tenant_id);
		CREATE TABLE billing.measurements_rest PARTITION OF measurements_more FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		SELECT art32.protect('measurements_2026')`)
	for i, id := range []tenancy.ID{w.a, w.b} {
		for n := range 10 {
			w.customer(tb, id, fmt.Sprintf("person%d@example%d.org", n, i))
		}
		db.MustExec(`INSERT INTO tickets (tenant_id, id, customer, title, parent)
			SELECT tenant_id, gen_random_uuid(), customer, 'child', id FROM tickets WHERE tenant_id = $1`, id)
		db.MustExec(`INSERT INTO billing.invoices SELECT gen_random_uuid(), $1, CASE WHEN n % 2 = 0 THEN 3 END FROM generate_series(1, 10) n`, id)
		db.MustExec(`INSERT INTO measurements SELECT $1, '2024-12-01Z'::timestamptz + n * interval '1 day', random() / 3 FROM generate_series(1, 1500) n`, id)
		for n, text := range hostile {
			db.MustExec(`INSERT INTO "Odd ""Table" VALUES ($1, $2, $3, $4, $5, $6, $7, $8::numeric::money, $9, $10, $11, $12, $13, $14, $15)`,
				id, n, text, []byte("\x00\xff\\\n\t"+text), []string{text, "NULL", `"`}, `{"k": "ä\n"}`, "1e-30", "12.34", 0.1+0.2,
				float32(0.1), "1 year -3 days 00:00:00.000001", time.Date(2026, 3, 29, 1, 59, 59, 999999000, time.UTC), "0044-03-15 BC", n%2 == 0, "it's fine")
		}
		db.MustExec(`INSERT INTO "Odd ""Table" ("tenant-id", n, rate) VALUES ($1, 1000, NULL), ($1, 1001, 'NaN'), ($1, 1002, $2)`, id, math.Inf(-1))
	}
	db.MustExec(`INSERT INTO art32.outbox (tenant_id, id, kind, payload, created_at, due_at, delivered_at, dead_at) VALUES
		($1, gen_random_uuid(), 'waits', 'x', now(), now(), NULL, NULL), ($2, gen_random_uuid(), 'waits', 'x', now(), now(), NULL, NULL),
		($1, gen_random_uuid(), 'sent', 'x', now(), now(), now(), NULL), ($1, gen_random_uuid(), 'dead', 'x', now(), now(), NULL, now())`, w.a, tenancy.ID{})
	db.MustExec(`INSERT INTO art32.leases VALUES ('job', 'node', 7, now() + interval '1 day')`)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	w.furnish(t)
	c := w.customer(t, w.a, "petra@example.org")
	gone := w.customer(t, w.a, "gone@example.org")
	must(t, w.db.Erase(in(t.Context(), w.a), gone.ID))
	sealer, err := audit.NewSealer(w.log, w.db, nil)
	must(t, err)
	_, err = sealer.SealDue(t.Context())
	must(t, err)
	before, err := audit.Verify(t.Context(), w.db, w.a, nil)
	must(t, err)

	k := w.run(t, &pgsource.Options{Migrations: appFiles(), Lines: lines, PartSize: 4096})
	r := w.restored(t, k)

	again := r.run(t, nil) // as the backup of the restored database sees it
	for _, id := range []tenancy.ID{w.a, w.b} {
		if n := len(k.rows(id, "public.measurements")); n != 1500 {
			t.Errorf("%d measurements of a tenant, want 1500", n)
		}
		same(t, map[tenancy.ID][]backup.Table{id: k.tables[id]}, map[tenancy.ID][]backup.Table{id: held(again.tables[id], k.tables[id])})
	}
	readable(t, r, w, c, gone)
	after, err := audit.Verify(t.Context(), r.db, r.a, &audit.VerifyOptions{PlatformKey: before.PlatformKey, Key: before.Key})
	must(t, err)
	if len(after.Findings) > 0 || after.Size != before.Size || string(after.Root) != string(before.Root) {
		t.Errorf("the log is not the one that was backed up: %+v, was %+v", after, before)
	}
	usable(t, r, c)
}

// held takes out the table that a restore changes on purpose.
func held(got, want []backup.Table) (out []backup.Table) {
	for i, t := range got {
		if t.Name == "art32.outbox" && t.Rows == want[i].Rows {
			t = want[i]
		}
		out = append(out, t)
	}
	return out
}

// readable shows that the restored rows open with the restored keys.
func readable(t *testing.T, r, w *world, c, gone *customer) {
	t.Helper()
	for _, id := range []tenancy.ID{w.a, w.b} {
		if diff := cmp.Diff(emails(t, w, id), emails(t, r, id)); diff != "" {
			t.Errorf("other rows (-want +got):\n%s", diff)
		}
	}
	found := 0
	for got, err := range customers.List(in(t.Context(), r.a), r.db, customerEmail.Eq("petra@example.org")) {
		must(t, err)
		found++
		if got.ID != c.ID || got.City != "Köln" {
			t.Errorf("found %v", got)
		}
	}
	if found != 1 {
		t.Errorf("%d rows by blind index, want 1", found)
	}
	lost, err := customers.Get(in(t.Context(), r.a), r.db, gone.ID)
	must(t, err)
	if _, err := lost.Email.Reveal(); !errors.Is(err, field.ErrErased) {
		t.Errorf("who was erased before the backup: %v, want ErrErased", err)
	}
}

func emails(t *testing.T, w *world, id tenancy.ID) map[uuid.UUID]string {
	t.Helper()
	out := make(map[uuid.UUID]string)
	for c, err := range customers.List(in(t.Context(), id), w.db) {
		must(t, err)
		text, err := c.Email.Reveal()
		if err != nil && !errors.Is(err, field.ErrErased) {
			t.Fatal(err)
		}
		out[c.ID] = text
	}
	return out
}

// usable shows that work goes on where it was left.
func usable(t *testing.T, r *world, c *customer) {
	t.Helper()
	db := admin(t, r.owner)
	var highest, no, plan int
	must(t, db.Get(&highest, `SELECT max(no) FROM tickets`))
	must(t, tickets.Insert(in(t.Context(), r.a), r.db, &ticket{Customer: c.ID, Title: "after"}))
	must(t, db.Get(&no, `SELECT no FROM tickets WHERE title = 'after'`))
	must(t, db.Get(&plan, `INSERT INTO plans (name) VALUES ('after') RETURNING id`))
	if no <= highest || plan != 6 {
		t.Errorf("sequences: ticket %d after %d, plan %d, want 6", no, highest, plan)
	}
	counts := make(map[string]int)
	for name, query := range map[string]string{
		"messages held":        `SELECT count(*) FROM art32.outbox WHERE last_error = 'held by restore' AND dead_at IS NOT NULL`,
		"messages that wait":   `SELECT count(*) FROM art32.outbox WHERE delivered_at IS NULL AND dead_at IS NULL`,
		"leases":               `SELECT count(*) FROM art32.leases`,
		"keys of the seal":     `SELECT count(*) FROM art32.seal_keys`,
		"plans in the view":    `SELECT count(*) FROM plan_names`,
		"heirs alone":          `SELECT count(*) FROM ONLY old_plans`,
		"parts":                `SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('r', 'p') AND c.relispartition`,
		"parts under a policy": `SELECT count(DISTINCT polrelid) FROM pg_policy p JOIN pg_class c ON c.oid = polrelid WHERE relispartition`,
		"capitals":             `SELECT count(*) FROM tickets WHERE shouted <> upper(title)`,
		"triggers that fired":  `SELECT count(*) - count(DISTINCT n) FROM ticket_log`,
	} {
		var n int
		must(t, db.Get(&n, query))
		counts[name] = n
	}
	want := map[string]int{
		"messages held": 2, "messages that wait": 0, "leases": 0, "keys of the seal": 1, "plans in the view": 4,
		"heirs alone": 1, "parts": 4, "parts under a policy": 2, "capitals": 0, "triggers that fired": 0,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("after the restore (-want +got):\n%s", diff)
	}
}

// Each tenant's part holds its own rows and no other's; what tenants share holds
// neither.
func TestSplitByTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.furnish(t)
	k := w.run(t, nil)
	ids := []tenancy.ID{w.a, w.b}
	for i, id := range ids {
		for _, folder := range []string{"public.customers", "public.tickets", "billing.invoices", "public.measurements", "art32.events", "public.-4fdd-20-22-54able"} {
			rows := k.rows(id, folder)
			if folder != "public.-4fdd-20-22-54able" && len(rows) < 10 {
				t.Errorf("%s: %d rows", folder, len(rows))
			}
			for _, row := range rows {
				if !strings.Contains(row, id.UUID().String()) || strings.Contains(row, ids[1-i].UUID().String()) {
					t.Fatalf("%s: a row of another tenant", folder)
				}
			}
		}
	}
	for _, f := range k.parts[tenancy.ID{}] {
		if strings.HasPrefix(f.name, "data/") && !strings.HasPrefix(f.name, "data/art32.") && strings.Contains(string(f.text), w.a.UUID().String()) {
			t.Errorf("%s of what tenants share names a tenant", f.name)
		}
	}
	if n := len(k.rows(tenancy.ID{}, "art32.tenants")); n != 2 {
		t.Errorf("%d tenants in what they share, want 2", n)
	}
}
