package tenancy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestKeystoresRotate: the keystores of both engines do all that a rotation
// needs, with the rights that they have.
func TestKeystoresRotate(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := tenancytest.New(t, tenancy.Schema{persons}, &tenancytest.Options{Engine: engine, Migrations: personsMigrations()})
			ctx, tenant, person := t.Context(), w.A.UUID(), uuid.New()
			file, err := keyring.KeyFile(w.KeyFile)
			must(t, err)
			root, err := keyring.Roots(file)
			must(t, err)
			r, err := keyring.New(root, w.Store, &keyring.Options{TTL: time.Millisecond, Grace: time.Millisecond})
			must(t, err)
			place := field.Scope{Tenant: "a", Table: "persons", Column: "name", Row: "1"}
			c, err := r.CreateCipher(ctx, tenant, person)
			must(t, err)
			sealed, err := c.Seal(nil, []byte("Anna"), place)
			must(t, err)
			for _, kind := range []keyring.Kind{keyring.KEK, keyring.IndexKeys, keyring.DataKey, keyring.SubjectKeys} {
				got, err := r.Rotate(ctx, tenant, kind, time.Now(), nil)
				must(t, err)
				if got.Introduced != 1 || got.Retired != 1 || got.Left != 0 {
					t.Errorf("%s: %+v", kind, got)
				}
			}
			_, err = r.RotateRoot(ctx, nil)
			must(t, err)
			c, err = r.Cipher(ctx, tenant, person)
			must(t, err)
			if plain, err := c.Open(nil, sealed, place); err != nil || string(plain) != "Anna" {
				t.Errorf("%q, %v", plain, err)
			}
			for v, err := range r.Retired(ctx, tenant) {
				must(t, err)
				for err = keyring.ErrTooEarly; errors.Is(err, keyring.ErrTooEarly); {
					err = r.Destroy(ctx, tenant, v)
				}
				must(t, err)
			}
			must(t, r.ShredTenant(ctx, tenant))
			if _, err := r.Cipher(ctx, tenant, person); !errors.Is(err, keyring.ErrErased) {
				t.Errorf("after the tenant was shredded: %v", err)
			}
			_, err = r.Cipher(ctx, w.B.UUID(), person)
			if !errors.Is(err, keyring.ErrNoKey) {
				t.Errorf("the other tenant: %v", err)
			}
		})
	}
}
