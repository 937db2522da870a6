package keyring_test

import (
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// TestLimit sets the count near 2^32 and lets two instances seal.
func TestLimit(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root := t.Context(), newRoot(t)
		one := newRing(t, root, keyring.SQLStore(db, d), nil)
		two := newRing(t, root, keyring.SQLStore(db, d), nil)
		noError(t, one.CreateTenant(ctx, acme))
		table := map[migrate.Dialect]string{migrate.SQLite: "art32_key_uses", migrate.Postgres: "art32_keys.uses"}[d]
		const left = 3 << 12
		_, err := db.ExecContext(ctx, `INSERT INTO `+table+` VALUES ($1, 'data', 1, $2)`, acme.String(), int64(1<<32-left))
		noError(t, err)
		var mu sync.Mutex
		var sealed int
		var wg sync.WaitGroup
		for _, r := range []*keyring.Ring{one, two} {
			c := value(r.TenantCipher(ctx, acme))(t)
			wg.Go(func() {
				for {
					_, err := c.Seal(nil, nil, place)
					if errors.Is(err, keyring.ErrLimit) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					sealed++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if sealed > left || sealed < left/3 {
			t.Errorf("%d messages sealed, %d were left", sealed, left)
		}
		var uses int64
		noError(t, db.QueryRowContext(ctx, `SELECT uses FROM `+table+` WHERE name = 'data'`).Scan(&uses))
		if uses > 1<<32 {
			t.Errorf("%d counted", uses)
		}
	})
}
