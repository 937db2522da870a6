package tenancy_test

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// visitor is about a person and holds nothing that is encrypted.
type visitor struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	Person uuid.UUID  `db:"person_id" art32:"subject"`
	City   string     `db:"city"      art32:"personal"`
}

var (
	visitors       = tenancy.MustRepository[visitor]("visitors")
	visitorsSchema = tenancy.Schema{visitors, rates}
)

var visitorsMigrations = fstest.MapFS{
	"sqlite/0001_all.sql": {Data: []byte(`
		CREATE TABLE visitors (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, person_id TEXT NOT NULL, city TEXT NOT NULL);
		CREATE TABLE rates (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, cents INTEGER NOT NULL);`)},
	"postgres/0001_all.sql": {Data: []byte(`
		CREATE TABLE visitors (tenant_id uuid NOT NULL, id uuid NOT NULL, person_id uuid NOT NULL, city text NOT NULL, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('visitors');
		CREATE TABLE rates (tenant_id uuid NOT NULL, id uuid NOT NULL, cents int NOT NULL, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('rates');`)},
}

// keyless is a keystore that has lost the keys of a tenant.
type keyless struct {
	keyring.Store

	tenant uuid.UUID
}

func (k keyless) Get(ctx context.Context, tenant uuid.UUID, names []string) ([]keyring.Record, error) {
	if tenant == k.tenant {
		return nil, nil
	}
	return k.Store.Get(ctx, tenant, names)
}

// writes are the verbs that write, each also inside a transaction.
func writes(ctx context.Context, db *tenancy.DB, known bool) map[string]error {
	in := func(fn func(ctx context.Context, c tenancy.Conn) error) error {
		return db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return fn(ctx, tx) })
	}
	all := map[string]func(ctx context.Context, c tenancy.Conn) error{
		"insert of a person": func(ctx context.Context, c tenancy.Conn) error {
			return visitors.Insert(ctx, c, &visitor{Person: uuid.New(), City: "Ulm"})
		},
		"insert of nobody": func(ctx context.Context, c tenancy.Conn) error { return rates.Insert(ctx, c, &rate{Cents: 1}) },
	}
	if !known { // else there is no row
		all["insert for another"] = func(ctx context.Context, c tenancy.Conn) error {
			return rates.Insert(ctx, c, &rate{Tenant: tenancy.NewID()})
		}
		all["update"] = func(ctx context.Context, c tenancy.Conn) error {
			return visitors.Update(ctx, c, &visitor{ID: uuid.New(), Person: uuid.New()})
		}
		all["edit"] = func(ctx context.Context, c tenancy.Conn) error {
			return visitors.Edit(ctx, c, uuid.New(), func(*visitor) error { return nil })
		}
		all["delete"] = func(ctx context.Context, c tenancy.Conn) error { return visitors.Delete(ctx, c, uuid.New()) }
	}
	out := map[string]error{}
	for name, fn := range all {
		out[name] = fn(ctx, db)
		out[name+" in a transaction"] = in(fn)
	}
	return out
}

// TestUnknownTenant: a tenant that the database does not know is answered as
// such, whatever the keystore says of it; one whose keys are lost is not.
func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	o := &tenancytest.Options{Migrations: visitorsMigrations}
	tenancytest.Each(t, visitorsSchema, o, func(t *testing.T, w *tenancytest.World) {
		for verb, err := range writes(w.In(t, tenancy.NewID()), w.DB, false) {
			if !errors.Is(err, tenancy.ErrUnknownTenant) || errors.Is(err, keyring.ErrNoTenant) {
				t.Errorf("%s for an unknown tenant: %v", verb, err)
			}
		}
		for verb, err := range writes(w.In(t, w.A), withoutKeys(t, w, w.A), true) {
			if !errors.Is(err, keyring.ErrNoTenant) || errors.Is(err, tenancy.ErrUnknownTenant) {
				t.Errorf("%s for a tenant without keys: %v", verb, err)
			}
		}
	})
}

// withoutKeys opens the database of a world over a keystore that has lost the
// keys of a tenant.
func withoutKeys(t *testing.T, w *tenancytest.World, tenant tenancy.ID) *tenancy.DB {
	t.Helper()
	root, err := keyring.KeyFile(w.KeyFile)
	must(t, err)
	keys, err := keyring.New(root, keyless{w.Store, tenant.UUID()}, nil)
	must(t, err)
	log, err := audit.New(keys, nil)
	must(t, err)
	db, err := tenancy.New(w.DB.Engine(engine.Library), visitorsSchema, keys, log, nil)
	must(t, err)
	return db
}
