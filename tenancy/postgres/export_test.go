package postgres

import "testing"

// KeystoreStatements counts the statements that have a name on one of the keystore's
// connections.
func KeystoreStatements(tb testing.TB, k *Keystore) (n int) {
	tb.Helper()
	if err := k.db.QueryRowContext(tb.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'art32%'").Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}
