package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// netsWorld has tables on which writes spread: a trigger, a foreign key, a table that
// nobody declared, and in PostgreSQL partitions.
func netsWorld(t *testing.T, engine string) *world {
	t.Helper()
	text := `CREATE TABLE customers (
		id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL,
		PRIMARY KEY (tenant_id, id));
	CREATE TABLE notes (tenant_id TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (tenant_id, id),
		FOREIGN KEY (tenant_id, id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE) WITHOUT ROWID;
	CREATE TABLE parts (tenant_id TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tenant_id, id));`
	if engine == tenancytest.Postgres {
		text = strings.NewReplacer("id TEXT", "id uuid", "BLOB", "bytea", ") WITHOUT ROWID", ")",
			"PRIMARY KEY (tenant_id, id));`", "").Replace(text)
		text = strings.Replace(text, "CREATE TABLE parts (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id));", `
			CREATE TABLE parts (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id)) PARTITION BY HASH (id);
			CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); SELECT art32.protect('parts_0');
			SELECT art32.protect('parts');
			CREATE TABLE parts_1 (tenant_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('parts_1');
			ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1); SELECT art32.protect('parts_1');`, 1) +
			"SELECT art32.protect('customers'); SELECT art32.protect('notes');"
	}
	w := &world{files: fstest.MapFS{"0001_tables.sql": {Data: []byte(text)}}}
	w.take(tenancytest.New(t, tenancy.Schema{customers}, &tenancytest.Options{Engine: engine, Migrations: w.files}))
	return w
}

// onNets runs fn as a subtest on each engine.
func onNets(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, engine := range []string{tenancytest.SQLite, tenancytest.Postgres} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			fn(t, netsWorld(t, engine))
		})
	}
}

// told lists the events of tenant A that tell of callers' SQL, as text.
func (w *world) told(t *testing.T) (all []string) {
	t.Helper()
	for _, e := range w.entries(w.in(t.Context(), w.a), t, audit.Filter{}) {
		if !strings.HasSuffix(e.Action, tenancy.UnrecordedSuffix) {
			continue
		}
		attrs, err := json.Marshal(e.Attrs)
		must(t, err)
		all = append(all, e.Action+" "+string(attrs))
	}
	return all
}

// sql runs statements as a caller of tenant A. TENANT, ONE and TWO stand for ids.
func (w *world) sql(ctx context.Context, texts ...string) error {
	return w.db.InSQL(w.in(ctx, w.a), func(ctx context.Context, tx *tenancy.SQLTx) error { return w.texts(ctx, tx, texts...) })
}

func (w *world) texts(ctx context.Context, tx *tenancy.SQLTx, texts ...string) error {
	ids := strings.NewReplacer("TENANT", "'"+w.a.String()+"'",
		"ONE", "'11111111-1111-4111-8111-111111111111'", "TWO", "'22222222-2222-4222-8222-222222222222'")
	for _, text := range texts {
		if _, err := tx.SQLX().ExecContext(ctx, ids.Replace(text)); err != nil {
			return err
		}
	}
	return nil
}

const (
	addCustomers = "INSERT INTO customers (tenant_id, id, city, plan) VALUES (TENANT, ONE, 'Ulm', 'a'), (TENANT, TWO, 'Ulm', 'a')"
	addNote      = "INSERT INTO notes (tenant_id, id, text) VALUES (TENANT, ONE, 'x')"
	addParts     = "INSERT INTO parts (tenant_id, id) VALUES (TENANT, ONE), (TENANT, TWO)"
)

// TestNets: what callers' SQL writes is recorded with table, verb and number of rows.
func TestNets(t *testing.T) {
	onNets(t, func(t *testing.T, w *world) {
		var want []string
		for _, c := range []struct {
			texts, want []string
		}{
			{[]string{"SELECT count(*) FROM customers", "DELETE FROM customers WHERE plan = 'nobody'"}, nil},
			{[]string{addCustomers, addNote}, []string{`customers.sql {"insert":2}`, `notes.sql {"insert":1}`}},
			{[]string{"UPDATE customers SET plan = 'b'", "UPDATE customers SET plan = 'c' WHERE id = ONE"}, []string{`customers.sql {"update":3}`}},
			{[]string{addCustomers + " ON CONFLICT (tenant_id, id) DO UPDATE SET plan = 'd'"}, []string{`customers.sql {"update":2}`}},
			{[]string{addParts, "DELETE FROM parts"}, []string{`parts.sql {"delete":2,"insert":2}`}}, // nobody declared it
			{[]string{"DELETE FROM customers WHERE id = ONE"}, []string{`customers.sql {"delete":1}`, `notes.sql {"delete":1}`}},
			{[]string{"DELETE FROM customers"}, []string{`customers.sql {"delete":1}`}},
		} {
			must(t, w.sql(t.Context(), c.texts...))
			want = append(want, c.want...)
			if got := w.told(t); !slices.Equal(got, want) {
				t.Errorf("%s:\ngot  %q\nwant %q", c.texts, got, want)
				want = got
			}
		}
		w.seal(t)
		w.wantOK(t, &audit.VerifyOptions{Log: w.log})
	})
}

// What the caller records himself is his word for it; what a repository records is not
// one for SQL beside it.
func TestNetsHeedEvents(t *testing.T) {
	onNets(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		do := func(action string) {
			t.Helper()
			must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
				must(t, w.log.Record(ctx, action))
				return w.texts(ctx, tx, "UPDATE customers SET plan = 'x'")
			}))
		}
		must(t, customers.Insert(ctx, w.db, &customer{City: "Ulm", Plan: "a"}))
		do("customers.plan_raised")
		if got := w.told(t); got != nil {
			t.Errorf("recorded twice: %q", got)
		}
		do("customersx.y")
		do("notes.x")
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			must(t, customers.Insert(ctx, tx, &customer{City: "Ulm", Plan: "a"}))
			return w.texts(ctx, tx, "UPDATE customers SET plan = 'y'")
		}))
		want := []string{`customers.sql {"update":1}`, `customers.sql {"update":1}`, `customers.sql {"update":2}`}
		if got := w.told(t); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		// A repository alone, and nothing that is not there in the end.
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return customers.Insert(ctx, tx, &customer{City: "Ulm", Plan: "a"})
		}))
		if err := w.sql(ctx, addCustomers, "SELECT missing FROM customers"); err == nil {
			t.Error("a statement that fails did not")
		}
		rolledBack := errors.New("no")
		wantErr(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			return errors.Join(w.texts(ctx, tx, addCustomers), rolledBack)
		}), rolledBack)
		wantErr(t, w.db.InSQL(tenancy.WithTenant(t.Context(), w.a), func(ctx context.Context, tx *tenancy.SQLTx) error {
			return w.texts(ctx, tx, addCustomers)
		}), tenancy.ErrNoActor)
		if got := w.told(t); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n, err := customers.Count(ctx, w.db); err != nil || n != 3 {
			t.Errorf("%d customers, %v", n, err)
		}
	})
}

// reopened opens the world again with another policy.
func (w *world) reopened(t *testing.T, u tenancy.Unrecorded) (*tenancy.DB, error) {
	t.Helper()
	if w.engine == tenancytest.Postgres {
		return postgres.Open(t.Context(), w.Logins, tenancy.Schema{customers}, w.keys, w.log, &postgres.Options{Unrecorded: u})
	}
	must(t, w.db.Close())
	return sqlite.Open(t.Context(), w.Dir, tenancy.Schema{customers}, w.keys, w.log, &sqlite.Options{Migrations: w.files, Unrecorded: u})
}

// TestNetsRefuse: where the caller must record, nothing is written if he does not.
func TestNetsRefuse(t *testing.T) {
	onNets(t, func(t *testing.T, w *world) {
		db, err := w.reopened(t, tenancy.RefuseUnrecorded)
		must(t, err)
		defer db.Close()
		w.db = db
		ctx := w.in(t.Context(), w.a)
		err = w.sql(ctx, addCustomers, addNote)
		wantErr(t, err, tenancy.ErrUnrecorded)
		if !strings.Contains(err.Error(), "customers, notes") {
			t.Errorf("does not name the tables: %v", err)
		}
		wantErr(t, db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			must(t, customers.Insert(ctx, tx, &customer{City: "Ulm", Plan: "a"}))
			return w.texts(ctx, tx, addCustomers)
		}), tenancy.ErrUnrecorded)
		if n, err := customers.Count(ctx, db); err != nil || n != 0 {
			t.Errorf("%d customers, %v", n, err)
		}
		must(t, db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			must(t, w.log.Record(ctx, "import.nightly"))
			return w.texts(ctx, tx, addCustomers)
		}))
		must(t, w.sql(ctx, "SELECT count(*) FROM customers"))
		if got := w.told(t); !slices.Equal(got, []string{`customers.sql {"insert":2}`}) {
			t.Errorf("got %q", got)
		}
		if _, err := w.reopened(t, 7); err == nil {
			t.Error("opened with a policy that there is not")
		}
	})
}

// TestNetsOfPostgres: what a setting holds back or a partition hides is seen; and
// where no library is, the database refuses.
func TestNetsOfPostgres(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w := netsWorld(t, tenancytest.Postgres)
	ctx := w.in(t.Context(), w.a)
	must(t, w.sql(ctx, "SET client_min_messages = error", "SET search_path = nowhere",
		"WITH new AS (INSERT INTO public.customers (tenant_id, id, city, plan) VALUES (TENANT, ONE, 'Ulm', 'a') RETURNING id) SELECT * FROM new",
		"INSERT INTO public.parts_0 (tenant_id, id) SELECT TENANT, i FROM (SELECT gen_random_uuid() i FROM generate_series(1, 99)) x WHERE satisfies_hash_partition('public.parts'::regclass, 2, 0, i)",
		"MERGE INTO public.customers c USING (VALUES (ONE::uuid), (TWO::uuid)) v(id) ON c.id = v.id AND c.tenant_id = TENANT"+
			" WHEN MATCHED THEN UPDATE SET plan = 'm' WHEN NOT MATCHED THEN INSERT (tenant_id, id, city, plan) VALUES (TENANT, v.id, '', '')"))
	got := w.told(t)
	if len(got) != 2 || got[0] != `customers.sql {"insert":2,"update":1}` || !strings.HasPrefix(got[1], `parts.sql {"insert":`) {
		t.Errorf("got %q", got)
	}
	// The library is deaf: the database still refuses.
	w.raw(t, "DROP TRIGGER art32_report_update ON customers", "DROP TRIGGER art32_report_insert ON parts_1")
	for _, text := range []string{
		"UPDATE customers SET plan = 'z'",
		"INSERT INTO parts_1 (tenant_id, id) SELECT TENANT, i FROM (SELECT gen_random_uuid() i FROM generate_series(1, 99)) x WHERE satisfies_hash_partition('parts'::regclass, 2, 1, i)",
	} {
		if err := w.sql(ctx, text); !errors.Is(err, tenancy.ErrUnrecorded) {
			t.Errorf("%s: %v, want ErrUnrecorded", text, err)
		}
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			must(t, w.log.Record(ctx, "customers.z"))
			return w.texts(ctx, tx, text)
		}))
	}
	w.seal(t)
	w.wantOK(t, &audit.VerifyOptions{Log: w.log})
	if n, err := customers.Count(ctx, w.db, tenancy.Where("plan = $1", "z")); err != nil || n != 2 {
		t.Errorf("%d customers, %v", n, err)
	}
}
