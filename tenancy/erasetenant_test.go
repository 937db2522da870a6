package tenancy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// contract is about nobody; its fields lie under the tenant's own key.
type contract struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Text   field.Encrypted[string] `db:"text"      art32:"index=text_bidx:exact"`
	Signer string                  `db:"signer"    art32:"personal"`
	Number int                     `db:"number"    art32:"open"`
}

// plan holds nothing of anybody.
type plan struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Name   string     `db:"name"      art32:"open"`
}

var (
	contracts    = tenancy.MustRepository[contract]("contracts")
	plans        = tenancy.MustRepository[plan]("plans")
	contractText = tenancy.MustColumn[string](contracts, "text")
	office       = tenancy.Schema{persons, contracts, plans}
)

func officeMigrations() fs.FS {
	return fstest.MapFS{
		"sqlite/0001_office.sql": {Data: []byte(personsSQLite + `
			CREATE TABLE contracts (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, text BLOB, text_bidx BLOB,
				signer TEXT NOT NULL, number INTEGER NOT NULL);
			CREATE TABLE plans (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL);`)},
		"postgres/0001_office.sql": {Data: []byte(personsPostgres + `
			CREATE TABLE contracts (tenant_id uuid NOT NULL, id uuid NOT NULL, text bytea, text_bidx bytea,
				signer text NOT NULL, number bigint NOT NULL, PRIMARY KEY (tenant_id, id));
			CREATE TABLE plans (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL, PRIMARY KEY (tenant_id, id));
			SELECT art32.protect('contracts'); SELECT art32.protect('plans');`)},
	}
}

// newOffice is a database with copies of the keystore declared.
func newOffice(tb testing.TB, engine string, ledger tenancy.ErasureLedger) *tenancytest.World {
	tb.Helper()
	return tenancytest.New(tb, office, officeOptions(engine, ledger))
}

func officeOptions(engine string, ledger tenancy.ErasureLedger) *tenancytest.Options {
	return &tenancytest.Options{
		Engine: engine, Migrations: officeMigrations(), Ledger: ledger,
		Keyring: &keyring.Options{TTL: time.Minute, Copies: []keyring.Copy{{Name: "vault", Life: 14 * 24 * time.Hour}, {Name: "snapshots", Life: 36 * time.Hour}}},
	}
}

// fillOffice inserts people and one contract, and returns the people's ids.
func fillOffice(ctx context.Context, tb testing.TB, db *tenancy.DB, people int) (ids []uuid.UUID) {
	tb.Helper()
	must(tb, db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		for i := range people {
			p := person{Name: field.New(fmt.Sprintf("Änne %d", i)), City: "Köln", Plan: "free"}
			if err := persons.Insert(ctx, tx, &p); err != nil {
				return err
			}
			ids = append(ids, p.ID)
		}
		if err := plans.Insert(ctx, tx, &plan{Name: "pro"}); err != nil {
			return err
		}
		return contracts.Insert(ctx, tx, &contract{Text: field.New("secret terms"), Signer: "Änne", Number: 7})
	}))
	return ids
}

// left counts what an erasure of a tenant must not leave, past the library.
func left(tb testing.TB, w *tenancytest.World, tenant tenancy.ID) (n int) {
	tb.Helper()
	for _, query := range []string{
		"SELECT count(*) FROM persons WHERE tenant_id = $1 AND (city <> '' OR name_bidx IS NOT NULL)",
		"SELECT count(*) FROM contracts WHERE tenant_id = $1 AND (signer <> '' OR text_bidx IS NOT NULL)",
		"SELECT count(*) FROM " + controlTable(w, "event_parts") + " p WHERE tenant_id = $1 AND ciphertext IS NOT NULL AND NOT EXISTS" +
			" (SELECT 1 FROM " + controlTable(w, "events") + " e WHERE e.tenant_id = p.tenant_id AND e.id = p.event_id AND e.action = 'audit.erase')",
	} {
		n += rawCount(tb, w, tenant, query)
	}
	return n
}

// TestEraseTenant: nothing of the tenant can be read, searched or written any
// more, by whatever instance; other tenants keep all.
func TestEraseTenant(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := newOffice(t, engine, nil)
			two := w.Reopen(t)
			w.DB.ClearPage(2)
			a, b := w.In(t, w.A), w.In(t, w.B)
			people, others := fillOffice(a, t, w.DB, 5), fillOffice(b, t, w.DB, 2)
			if _, err := persons.Get(a, two.DB, people[0]); err != nil { // its keys are warm
				t.Fatal(err)
			}
			for range 2 {
				must(t, w.DB.EraseTenant(a))
			}
			if n := left(t, w, w.A); n != 0 {
				t.Errorf("%d rows and payloads still hold something", n)
			}
			for name, db := range map[string]*tenancy.DB{"here": w.DB, "elsewhere": two.DB, "anew": w.Reopen(t).DB} {
				checkGone(a, t, name, db, people[0])
			}
			if n := left(t, w, w.B); n != 2+1+4 { // rows with people, and events with a payload
				t.Errorf("the other tenant has %d rows and payloads, want 7", n)
			}
			got, err := persons.Get(b, w.DB, others[0])
			must(t, err)
			if name, err := got.Name.Reveal(); err != nil || name == "" {
				t.Errorf("the other tenant: %q, %v", name, err)
			}
			if n, err := contracts.Count(b, w.DB, contractText.Eq("secret terms")); n != 1 || err != nil {
				t.Errorf("the other tenant's contract: %d, %v", n, err)
			}
			checkTenantLog(t, w)
		})
	}
}

// TestEraseTenantOfForeignKeys: keys in another form than the library writes lie
// elsewhere in the order, and the walk neither leaves rows out nor goes in a circle.
func TestEraseTenantOfForeignKeys(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newOffice(t, tenancytest.SQLite, nil)
	w.DB.ClearPage(2)
	ctx, cancel := context.WithTimeout(w.In(t, w.A), time.Minute)
	defer cancel()
	fillOffice(ctx, t, w.DB, 7)
	raw := w.Raw(t, w.A)
	_, err := raw.ExecContext(ctx, "UPDATE persons SET id = CAST(id AS BLOB)")
	must(t, err)
	must(t, w.DB.EraseTenant(ctx))
	if n := left(t, w, w.A); n != 0 {
		t.Errorf("%d rows and payloads still hold something", n)
	}
}

// checkGone tries what a program can do.
func checkGone(ctx context.Context, t *testing.T, name string, db *tenancy.DB, id uuid.UUID) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for _, err := persons.Count(ctx, db); err == nil && time.Now().Before(deadline); _, err = persons.Count(ctx, db) { // SQLite believes for a second that a tenant is open
	}
	_, getErr := persons.Get(ctx, db, id)
	_, countErr := plans.Count(ctx, db)
	for verb, err := range map[string]error{
		"get": getErr, "count": countErr,
		"insert":   persons.Insert(ctx, db, &person{Name: field.New("again"), City: "again"}),
		"contract": contracts.Insert(ctx, db, &contract{Signer: "again"}),
		"plan":     plans.Insert(ctx, db, &plan{Name: "again"}),
		"edit":     persons.Edit(ctx, db, id, func(p *person) error { p.City = "again"; return nil }),
		"delete":   persons.Delete(ctx, db, id),
		"erase":    db.Erase(ctx, id),
		"in sql": db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error {
			_, err := tx.SQLX().ExecContext(ctx, "SELECT count(*) FROM persons")
			return err
		}),
	} {
		if !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("%s: %s: %v, want ErrErased", name, verb, err)
		}
	}
	if !errors.Is(getErr, tenancy.ErrUnknownTenant) {
		t.Errorf("%s: %v is not ErrUnknownTenant, for which jobs pass over a tenant", name, getErr)
	}
}

// checkTenantLog: the platform's log tells of the erasure once, and the tenant's
// log verifies, with its payloads gone.
func checkTenantLog(t *testing.T, w *tenancytest.World) {
	t.Helper()
	n := 0
	for e, err := range w.Log.Events(w.In(t, tenancy.ID{}), w.DB, audit.Filter{Platform: true, Action: "tenant.erase"}) {
		must(t, err)
		if e.Object == w.A.UUID() && e.Actor == w.Actor.String() {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d events tenant.erase, want 1", n)
	}
	if _, err := w.Sealer.SealDue(t.Context()); err != nil {
		t.Errorf("seal: %v", err)
	}
	r, err := audit.Verify(t.Context(), w.DB, w.A, nil)
	must(t, err)
	if !r.OK() || r.Erased != 7 {
		t.Errorf("the erased tenant's log: %d parts erased, %d findings %v", r.Erased, len(r.Findings), r.Findings)
	}
}

// TestEraseTenantRefused: what is no erasure destroys nothing.
func TestEraseTenantRefused(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ledger := &tenantBook{book: &book{}}
			w := newOffice(t, engine, ledger)
			a := w.In(t, w.A)
			people := fillOffice(a, t, w.DB, 1)
			inside := w.DB.In(a, func(ctx context.Context, _ *tenancy.Tx) error { return w.DB.EraseTenant(ctx) })
			for name, c := range map[string]struct{ err, want error }{
				"inside":    {inside, tenancy.ErrTxInUse},
				"no tenant": {w.DB.EraseTenant(w.In(t, tenancy.ID{})), tenancy.ErrNoTenant},
				"unknown":   {w.DB.EraseTenant(w.In(t, tenancy.NewID())), tenancy.ErrUnknownTenant},
				"no actor":  {w.DB.EraseTenant(tenancy.WithTenant(t.Context(), w.A)), tenancy.ErrNoActor},
			} {
				if !errors.Is(c.err, c.want) {
					t.Errorf("%s: %v, want %v", name, c.err, c.want)
				}
			}
			ledger.fail = errors.New("disk full")
			if err := w.DB.EraseTenant(a); !errors.Is(err, ledger.fail) {
				t.Errorf("the ledger failed: %v", err)
			}
			if len(ledger.tenants) != 0 {
				t.Errorf("entries %v", ledger.tenants)
			}
			got, err := persons.Get(a, w.Reopen(t).DB, people[0])
			must(t, err)
			if name, err := got.Name.Reveal(); err != nil {
				t.Errorf("a key was destroyed: %q, %v", name, err)
			}
			ledger.fail = nil
			must(t, w.DB.EraseTenant(a))
			if len(ledger.tenants) != 1 || ledger.tenants[0] != w.A {
				t.Errorf("entries %v", ledger.tenants)
			}
		})
	}
}

// tenantBook is a ledger that also takes tenants, and can be asked.
type tenantBook struct {
	*book

	tenants []tenancy.ID
	deaf    bool // it forgets what it is told
}

func (b *tenantBook) ErasedTenant(_ context.Context, tenant tenancy.ID) error {
	if b.fail != nil {
		return b.fail
	}
	if !b.deaf {
		b.tenants = append(b.tenants, tenant)
	}
	return nil
}

func (b *tenantBook) Told(_ context.Context, tenant tenancy.ID, subject uuid.UUID) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if subject == uuid.Nil {
		return len(b.tenants) > 0, nil
	}
	for _, e := range b.entries {
		if e == tenant.String()+" "+subject.String() {
			return true, nil
		}
	}
	return false, nil
}
