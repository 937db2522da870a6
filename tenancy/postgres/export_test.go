package postgres

import (
	"testing"
	"time"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// KeystoreStatements counts the statements that have a name on one of the keystore's
// connections.
func KeystoreStatements(tb testing.TB, k *Keystore) (n int) {
	tb.Helper()
	if err := k.db.QueryRowContext(tb.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'art32%'").Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// SetSealAge makes an instance look for a newer key of the seal after age. It must
// be called before the first use.
func SetSealAge(db *tenancy.DB, age time.Duration) {
	db.Engine(engine.Library).(*pgEngine).seals.age = age
}
