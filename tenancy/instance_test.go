package tenancy_test

import (
	"context"
	"io"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
	"github.com/art32/art32/tenancy/tenancytest"
)

// ringOf opens the keystore of a world once more.
func ringOf(tb testing.TB, w *tenancytest.World) *keyring.Ring {
	tb.Helper()
	root, err := keyring.KeyFile(w.KeyFile)
	must(tb, err)
	var store keyring.Store
	if w.Engine == tenancytest.SQLite {
		store, err = sqlite.OpenKeystore(tb.Context(), w.KeysDir)
	} else {
		store, err = postgres.OpenKeystore(tb.Context(), w.Logins.Library)
	}
	must(tb, err)
	tb.Cleanup(func() { _ = store.(io.Closer).Close() })
	ring, err := keyring.New(root, store, nil)
	must(tb, err)
	return ring
}

// openEngine opens a world's database with a log of the test's own.
func openEngine(
	ctx context.Context, w *tenancytest.World, keys *keyring.Ring, log tenancy.ChangeRecorder, o *tenancytest.Options,
) (*tenancy.DB, error) {
	if w.Engine == tenancytest.SQLite {
		return sqlite.Open(ctx, w.Dir, office, keys, log, &sqlite.Options{Migrations: o.Migrations})
	}
	return postgres.Open(ctx, w.Logins, office, keys, log, &postgres.Options{
		SetupOptions: postgres.SetupOptions{Migrations: o.Migrations, Lines: []tenancy.Line{audit.Line()}},
	})
}
