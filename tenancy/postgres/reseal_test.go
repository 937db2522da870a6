package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

type account struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Mail   field.Encrypted[string] `db:"mail"      art32:"unique=mail_bidx:email"`
	Plan   string                  `db:"plan"      art32:"open"`
}

var (
	accounts    = tenancy.MustRepository[account]("accounts")
	accountMail = tenancy.MustColumn[string](accounts, "mail")
)

// TestRoundTripsOfVersions: a search by several versions of the index key is one
// round trip; what is UNIQUE costs one more while there are several, and none
// before and after.
func TestRoundTripsOfVersions(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w, m := metered(t)
	w.admin(t).MustExec(`CREATE TABLE accounts (tenant_id uuid, id uuid, mail bytea, mail_bidx bytea, plan text,
		PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, mail_bidx));
		ALTER TABLE accounts OWNER TO ` + w.role(t, "owner") + `; SELECT art32.protect('accounts')`)
	store, err := postgres.OpenKeystore(t.Context(), w.logins.Library)
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.New(w.root, store, &keyring.Options{TTL: 200 * time.Millisecond})
	must(t, err)
	library, _ := m.through(t, w.logins.Library)
	db, err := postgres.Open(t.Context(), postgres.Logins{Library: library, App: w.logins.App}, tenancy.Schema{accounts}, keys, trace{},
		&postgres.Options{MaxConns: 1})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	a := &account{Mail: field.New("a@example.org")}
	must(t, accounts.Insert(w.a, db, a))
	count := func(what string, want int64, f func() error) {
		t.Helper()
		must(t, f()) // reads keys, and prepares
		before := m.trips.Load()
		must(t, f())
		if got := m.trips.Load() - before; got != want {
			t.Errorf("%s: %d round trips, want %d", what, got, want)
		}
	}
	steps := func(when string, more int64) {
		count(when+": search", 1, func() error {
			n, err := accounts.Count(w.a, db, accountMail.Eq("A@example.org"))
			if n != 1 {
				return errors.New("not found")
			}
			return err
		})
		count(when+": insert", 1+more, func() error {
			return accounts.Insert(w.a, db, &account{Mail: field.New(uuid.NewString() + "@example.org")})
		})
		count(when+": edit", 2+more, func() error {
			return accounts.Edit(w.a, db, a.ID, func(a *account) error { a.Plan += "x"; return nil })
		})
	}
	steps("one version", 0)
	_, err = keys.Rotate(t.Context(), tenantOf(t, w.a).UUID(), keyring.IndexKeys, time.Now(), nil)
	must(t, err)
	steps("two versions", 1)
	if err := accounts.Insert(w.a, db, &account{Mail: field.New("A@EXAMPLE.org")}); !errors.Is(err, tenancy.ErrExists) {
		t.Errorf("under the old version: %v, want ErrExists", err)
	}
}
