package postgres_test

import (
	"os"
	"strings"
	"testing"

	"github.com/art32/art32/tenancy/postgres"
)

// TestUpgradePutsNets: tables that were protected before there were nets get theirs
// with the migration, partitions as well.
func TestUpgradePutsNets(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := newWorld(t)
	admin := w.admin(t)
	admin.MustExec(`CREATE TABLE parts (tenant_id uuid, id uuid) PARTITION BY HASH (id);
		CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
		SELECT art32.protect('part'); SELECT art32.protect('parts')`)
	admin.MustExec(`DO $$ DECLARE g record; BEGIN
		FOR g IN SELECT tgname, tgrelid::regclass AS t FROM pg_trigger WHERE tgname LIKE 'art32\_%' AND tgparentid = 0 LOOP
			EXECUTE format('DROP TRIGGER %I ON %s', g.tgname, g.t);
		END LOOP;
	END $$`)
	text, err := os.ReadFile("migrations/postgres/0011_nets.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, upgrade, found := strings.Cut(string(text), "-- The tables that are protected already")
	if !found {
		t.Fatal("the migration ends otherwise")
	}
	admin.MustExec("--" + upgrade)
	if err := w.tryOpen(t, nil); err != nil {
		t.Error(err)
	}
	var triggers int
	if err := admin.Get(&triggers, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'art32\\_%' AND tgparentid = 0"); err != nil || triggers != 5*4 {
		t.Errorf("%d triggers, %v; want 4 each on customers, trace, parts, part and the pattern", triggers, err)
	}
	findings, err := postgres.Inspect(t.Context(), w.logins, schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if strings.Contains(f.What, "trigger") {
			t.Errorf("found: %s", f.What)
		}
	}
}
