package tenancytest_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// broken are ways to break a world, each with the cases that must find out, on
// the engines where it can be done.
var broken = []struct {
	name    string
	engines []string
	bend    func(t *testing.T, w *tenancytest.World) context.Context
	caught  []string
}{
	{"a context with a default tenant", both, defaultTenant, []string{"no tenant"}},
	{"tenants that are unknown become a known one", both, adopted, []string{"unknown tenant"}},
	{"a connection that keeps its first tenant", both, kept, []string{"foreign row", "all rows"}},
	{"callers' SQL on the connection of another", both, keptSQL, []string{"callers sql", "callers conditions"}},
	{"tables without protection", []string{tenancytest.Postgres}, unprotected, []string{"callers sql", "callers conditions"}},
	{"a unique column across tenants", []string{tenancytest.Postgres}, raw("ALTER TABLE customers ADD UNIQUE (city)"), []string{"equal rows"}},
	{"a key across tenants", []string{tenancytest.Postgres}, raw("ALTER TABLE settings ADD UNIQUE (id)"), []string{"equal rows"}},
	{"a key of several columns across tenants", []string{tenancytest.Postgres}, raw("ALTER TABLE lines ADD UNIQUE (customer_id, kind, position)"), []string{"equal rows"}},
	{"a text key across tenants", []string{tenancytest.Postgres}, raw("ALTER TABLE limits ADD UNIQUE (name)"), []string{"equal rows"}},
	{"an exclusion across tenants", []string{tenancytest.Postgres}, raw("ALTER TABLE settings ADD EXCLUDE (word WITH =)"), []string{"equal rows"}},
	{"a trigger that copies to others", []string{tenancytest.Postgres}, elsewhere("INSERT", copies), []string{"trace"}},
	{"a trigger that copies edits to others", []string{tenancytest.Postgres}, elsewhere("UPDATE", copies), []string{"trace", "erasure"}},
	{"a trigger that overwrites others", []string{tenancytest.Postgres}, elsewhere("UPDATE", "UPDATE customers SET city = NEW.city, plan = NEW.plan;"), []string{"trace", "erasure"}},
	{"a trigger that overwrites what others encrypted", []string{tenancytest.Postgres}, elsewhere("UPDATE", "UPDATE customers SET balance = NEW.balance;"), []string{"trace", "erasure"}},
	{"a trigger that deletes from others", []string{tenancytest.Postgres}, elsewhere("DELETE", "DELETE FROM lines; DELETE FROM desk.tickets; DELETE FROM customers;"), []string{"trace"}},
	{"a refusal that nobody counts", both, uncounted, []string{"library tables"}},
	{"a log that forgets", both, forgetting(0), []string{"trace", "foreign insert"}},
	{"a log that forgets refusals", both, forgetting(tenancy.Refused), []string{"foreign insert", "library tables"}},
	{"a log that tells everything twice", both, stuttering, []string{"trace"}},
	{"a rollback that commits", both, committing, []string{"no entry no action"}},
	{"a keystore that keeps what it should destroy", both, hoarding, []string{"erasure"}},
	{"an erasure that clears nothing", both, unclearing, []string{"erasure"}},
}

var both = []string{tenancytest.SQLite, tenancytest.Postgres}

// TestBroken: each broken world is found out, and each case finds one.
func TestBroken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	finders := map[string]bool{}
	t.Run("worlds", func(t *testing.T) {
		for _, b := range broken {
			for _, name := range b.engines {
				t.Run(b.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					t.Attr("art32.measure", "TOM-8.1")
					o := options(t)
					o.Engine = name
					w := tenancytest.New(t, schema, o)
					ctx := b.bend(t, w)
					for _, c := range tenancytest.Cases() {
						if !slices.Contains(b.caught, c.Name) {
							continue
						}
						if err := c.Check(ctx, w); err == nil || strings.Contains(err.Error(), "prepare:") {
							t.Errorf("case %q: %v", c.Name, err)
						}
						mu.Lock()
						finders[c.Name] = true
						mu.Unlock()
					}
				})
			}
		}
	})
	for _, c := range tenancytest.Cases() {
		if !finders[c.Name] {
			t.Errorf("case %q finds no broken world", c.Name)
		}
	}
}

func TestCases(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range tenancytest.Cases() {
		if seen[c.Name] || c.Name == "" || !strings.HasPrefix(c.Measure, "TOM-") || !strings.HasSuffix(c.Explanation, ".") {
			t.Errorf("case %+v", c)
		}
		seen[c.Name] = true
	}
}

func defaultTenant(t *testing.T, w *tenancytest.World) context.Context {
	return tenancy.WithTenant(t.Context(), w.A)
}

// crooked is an engine that mistakes tenants, rolls back by committing, loses
// statements, or does not count what was refused.
type crooked struct {
	engine.Engine

	tenant     func(uuid.UUID) uuid.UUID
	tenantSQL  func(uuid.UUID) uuid.UUID
	lose       func(engine.Stmt) bool
	commits    bool
	countsNone bool
}

func (e *crooked) Begin(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	from := s.Tenant
	if e.tenant != nil {
		s.Tenant = e.tenant(s.Tenant)
	}
	tx, err := e.Engine.Begin(ctx, s)
	return &crookedTx{Tx: tx, e: e, from: from, to: s.Tenant}, err
}

func (e *crooked) BeginSQL(ctx context.Context, s engine.Scope) (engine.SQLTx, error) {
	if e.tenantSQL != nil {
		s.Tenant = e.tenantSQL(s.Tenant)
	}
	tx, err := e.Engine.BeginSQL(ctx, s)
	if err == nil && e.countsNone {
		tx = uncountedTx{tx}
	}
	return tx, err
}

func (e *crooked) BeginRead(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	if e.tenantSQL != nil {
		s.Tenant = e.tenantSQL(s.Tenant)
	}
	return e.Engine.BeginRead(ctx, s)
}

type uncountedTx struct{ engine.SQLTx }

func (uncountedTx) Denied() int { return 0 }

type crookedTx struct {
	engine.Tx

	e        *crooked
	from, to uuid.UUID
}

// mistaken exchanges the tenant among the arguments too.
func (t *crookedTx) mistaken(s engine.Stmt) engine.Stmt {
	s.Args = slices.Clone(s.Args)
	for i, a := range s.Args {
		if a == t.from {
			s.Args[i] = t.to
		}
	}
	return s
}

func (t *crookedTx) Queue(s engine.Stmt) {
	if t.e.lose == nil || !t.e.lose(s) {
		t.Tx.Queue(t.mistaken(s))
	}
}

func (t *crookedTx) Run(ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error) (int64, error) {
	return t.Tx.Run(ctx, t.mistaken(s), end, row)
}

func (t *crookedTx) Rollback(ctx context.Context) error {
	if t.e.commits {
		return t.Commit(ctx)
	}
	return t.Tx.Rollback(ctx)
}

// on puts a crooked engine under a world.
func (e *crooked) on(t *testing.T, w *tenancytest.World) context.Context {
	t.Helper()
	e.Engine = w.DB.Engine(engine.Library)
	return reopened(t, w, e, w.Keys, w.Log)
}

// reopened puts another database into a world.
func reopened(t *testing.T, w *tenancytest.World, e engine.Engine, keys *keyring.Ring, log tenancy.ChangeRecorder) context.Context {
	t.Helper()
	var err error
	if w.DB, err = tenancy.New(e, schema, keys, log, nil); err != nil {
		t.Fatal(err)
	}
	w.Keys = keys
	return t.Context()
}

func adopted(t *testing.T, w *tenancytest.World) context.Context {
	good := w.DB
	return (&crooked{tenant: func(id uuid.UUID) uuid.UUID {
		all, err := good.Tenants(context.WithoutCancel(t.Context()))
		known := slices.ContainsFunc(all, func(t tenancy.Tenant) bool { return t.ID.UUID() == id })
		if err != nil || known || id == uuid.Nil {
			return id
		}
		return w.A.UUID()
	}}).on(t, w)
}

func kept(t *testing.T, w *tenancytest.World) context.Context {
	return (&crooked{tenant: first()}).on(t, w)
}

// keptSQL gives callers' SQL the connection of the tenant that was served before.
func keptSQL(t *testing.T, w *tenancytest.World) context.Context {
	var seen []uuid.UUID
	note := func(id uuid.UUID) uuid.UUID {
		if id != uuid.Nil {
			seen = append(seen, id)
		}
		return id
	}
	before := func(id uuid.UUID) uuid.UUID {
		for _, other := range slices.Backward(seen) {
			if other != id {
				return other
			}
		}
		return id
	}
	return (&crooked{tenant: note, tenantSQL: before}).on(t, w)
}

// first answers with the first tenant that it was asked for.
func first() func(uuid.UUID) uuid.UUID {
	var one uuid.UUID
	return func(id uuid.UUID) uuid.UUID {
		if one == uuid.Nil {
			one = id
		}
		if id == uuid.Nil {
			return id
		}
		return one
	}
}

func unprotected(t *testing.T, w *tenancytest.World) context.Context {
	for _, table := range schema {
		if _, err := w.Raw(t, w.A).ExecContext(t.Context(), "ALTER TABLE "+table.Name()+" DISABLE ROW LEVEL SECURITY"); err != nil {
			t.Fatal(err)
		}
	}
	return t.Context()
}

// raw bends a world by a statement of its owner.
func raw(text string) func(t *testing.T, w *tenancytest.World) context.Context {
	return func(t *testing.T, w *tenancytest.World) context.Context {
		t.Helper()
		if _, err := w.Raw(t, w.A).ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		return t.Context()
	}
}

const copies = "INSERT INTO customers SELECT x, NEW.id, NULL, NULL, NULL, NEW.city, NEW.born, NEW.plan ON CONFLICT DO NOTHING;"

// elsewhere is a trigger with ordinary rights that does something to customers
// as every other tenant.
func elsewhere(when, what string) func(t *testing.T, w *tenancytest.World) context.Context {
	return raw(`CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		x uuid;
		own text := current_setting('art32.tenant', true);
	BEGIN
		IF pg_trigger_depth() < 2 THEN
			FOR x IN SELECT id FROM art32.tenants WHERE id::text <> own LOOP
				PERFORM set_config('art32.tenant', x::text, true);
				` + what + `
			END LOOP;
			PERFORM set_config('art32.tenant', own, true);
		END IF;
		RETURN NULL;
	END $$;
	CREATE TRIGGER spread AFTER ` + when + ` ON customers FOR EACH ROW EXECUTE FUNCTION spread()`)
}

func uncounted(t *testing.T, w *tenancytest.World) context.Context {
	return (&crooked{countsNone: true}).on(t, w)
}

func committing(t *testing.T, w *tenancytest.World) context.Context {
	return (&crooked{commits: true}).on(t, w)
}

func unclearing(t *testing.T, w *tenancytest.World) context.Context {
	sealing := regexp.MustCompile(`^UPDATE art32[._](events|logs) `)
	return (&crooked{lose: func(s engine.Stmt) bool {
		return strings.HasPrefix(s.SQL, "UPDATE ") && !sealing.MatchString(s.SQL)
	}}).on(t, w)
}

// recorder is a log that leaves out events of one outcome (0: all), or writes
// them twice.
type recorder struct {
	tenancy.SubjectEraser

	forget func(tenancy.Change) bool
	twice  bool
}

func (r *recorder) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if r.forget != nil && r.forget(c) {
		return nil
	}
	if r.twice {
		if err := r.SubjectEraser.Change(ctx, tx, c); err != nil {
			return err
		}
	}
	return r.SubjectEraser.Change(ctx, tx, c)
}

func forgetting(outcome tenancy.Outcome) func(t *testing.T, w *tenancytest.World) context.Context {
	return func(t *testing.T, w *tenancytest.World) context.Context {
		t.Helper()
		log := &recorder{SubjectEraser: w.Log, forget: func(c tenancy.Change) bool { return outcome == 0 || c.Outcome == outcome }}
		return reopened(t, w, w.DB.Engine(engine.Library), w.Keys, log)
	}
}

func stuttering(t *testing.T, w *tenancytest.World) context.Context {
	return reopened(t, w, w.DB.Engine(engine.Library), w.Keys, &recorder{SubjectEraser: w.Log, twice: true})
}

// hoard is a keystore that destroys nothing.
type hoard struct{ keyring.Store }

func (hoard) Shred(context.Context, uuid.UUID, string, time.Time) error { return nil }

func hoarding(t *testing.T, w *tenancytest.World) context.Context {
	t.Helper()
	root, err := keyring.KeyFile(w.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.New(root, hoard{w.Store}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return reopened(t, w, w.DB.Engine(engine.Library), keys, w.Log)
}
