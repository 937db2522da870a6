package audit_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/art32/art32/tenancy"
)

// The platform's log tells of every tenant, and says where it may have lost one.
func TestCreatedTenants(t *testing.T) {
	const create = " WHERE tenant_id = TENANT AND action = 'tenant.create'"
	onBoth(t, func(t *testing.T, w *world) {
		want := func(name string, damaged bool, ids ...tenancy.ID) {
			t.Helper()
			got, err := w.log.CreatedTenants(t.Context(), w.db)
			if errors.Is(err, tenancy.ErrDamagedLog) != damaged || !damaged && err != nil || !slices.Equal(got, ids) {
				t.Errorf("%s: got %v, %v, want %v", name, got, err, ids)
			}
		}
		want("waiting", false, w.a, w.b)
		w.seal(t)
		want("sealed", false, w.a, w.b)
		c := tenancy.NewID()
		w.rawPlatform(t, "INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac)"+
			" SELECT '"+tenancy.NewID().String()+"', tenant_id, at, writer, counter, actor, session, action, '"+c.String()+"', outcome, digests, mac"+
			" FROM art32.events"+create+" AND object = '"+w.a.String()+"'")
		w.seal(t)
		want("written by another", true, w.a, w.b, c)
		w.rawPlatform(t, "UPDATE art32.events SET object = NULL"+create+" AND leaf < 0", "UPDATE art32.events SET leaf = NULL WHERE leaf < 0")
		want("naming nobody", true, w.a, w.b)
		w.rawPlatform(t, "DELETE FROM art32.events"+create)
		want("gone", true)
		if _, err := w.log.CreatedTenants(t.Context(), nil); err == nil {
			t.Error("no database, no error")
		}
	})
}
