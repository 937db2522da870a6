package tenancy_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
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

// TestOtherKeystore: a database whose keystore is empty, or of another database,
// is not opened, and no key is made there: it would keep those that were lost from
// being restored.
func TestOtherKeystore(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			o := officeOptions(engine, nil)
			w, ctx := newOffice(t, engine, nil), t.Context()
			root, err := keyring.KeyFile(w.KeyFile)
			must(t, err)
			empty, err := sqlite.OpenKeystore(ctx, filepath.Join(t.TempDir(), "keys"))
			must(t, err)
			t.Cleanup(func() { must(t, empty.Close()) })
			for range 2 {
				keys, err := keyring.New(root, empty, nil)
				must(t, err)
				log, err := audit.New(keys, nil)
				must(t, err)
				if _, err := openEngine(ctx, w, keys, log, o); !errors.Is(err, tenancy.ErrOtherKeystore) {
					t.Error(err)
				}
				for r, err := range empty.List(ctx) {
					t.Fatalf("a key was made: %s, %v", r.Name, err)
				}
			}
			keys, err := keyring.New(root, empty, nil)
			must(t, err)
			must(t, keys.CreateTenant(ctx, uuid.Nil))
			if _, err := openEngine(ctx, w, keys, w.Log, o); !errors.Is(err, tenancy.ErrOtherKeystore) {
				t.Errorf("one that was begun anew: %v", err)
			}
			text := &bytes.Buffer{}
			if _, err := w.Keys.WriteCopy(ctx, text); err != nil {
				t.Fatal(err)
			}
			another, err := sqlite.OpenKeystore(ctx, filepath.Join(t.TempDir(), "keys"))
			must(t, err)
			t.Cleanup(func() { must(t, another.Close()) })
			keys, err = keyring.New(root, another, nil)
			must(t, err)
			_, err = keys.RestoreCopy(ctx, bytes.NewReader(text.Bytes()))
			must(t, err)
			log, err := audit.New(keys, nil)
			must(t, err)
			db, err := openEngine(ctx, w, keys, log, o)
			must(t, err)
			must(t, db.Close())
		})
	}
}
