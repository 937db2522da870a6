package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
	"github.com/art32/art32/tenancy/postgres"
)

// TestKeystore: it reads by other means than the store that it wraps.
func TestKeystore(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	w := newWorld(t)
	keyringtest.RunStore(t, func(t *testing.T) keyring.Store {
		t.Helper()
		s, err := postgres.OpenKeystore(t.Context(), w.logins.Library)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	})
}

// TestKeystoreTableChanges: a table that changes while connections hold the
// statement prepared for it costs nobody an error.
func TestKeystoreTableChanges(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	w := newWorld(t)
	admin, tenant := w.admin(t), tenantOf(t, w.a).UUID()
	s, err := postgres.OpenKeystore(t.Context(), w.logins.Library)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	read := func() error {
		got, err := s.Get(t.Context(), tenant, []string{"tenant", "index", "data"})
		if err == nil && len(got) != 3 {
			err = fmt.Errorf("%d keys", len(got))
		}
		return err
	}
	crowd := func(after string) {
		var wg sync.WaitGroup
		for range 8 { // on several connections
			wg.Go(func() {
				for range 10 {
					if err := read(); err != nil {
						t.Errorf("after %q: %v", after, err)
					}
				}
			})
		}
		wg.Wait()
	}
	crowd("")
	for _, change := range []string{
		"DROP TRIGGER keep_destroyed ON art32_keys.keys; DROP TRIGGER keep_order ON art32_keys.keys", // which hold the types
		"ALTER TABLE art32_keys.keys ALTER version TYPE bigint",
		"ALTER TABLE art32_keys.keys ALTER name TYPE varchar(300)",
		"ALTER TABLE art32_keys.keys ADD COLUMN more text",
	} {
		admin.MustExec(change)
		crowd(change)
	}
	admin.MustExec("ALTER TABLE art32_keys.keys RENAME TO gone")
	if err := read(); !errors.Is(err, keyring.ErrKeystore) || strings.Contains(err.Error(), "relation") {
		t.Errorf("without the table: %v", err)
	}
}

// TestKeystoreBehindPooler: where the DSN says so, no statement gets a name, which a
// pooler would let another connection take.
func TestKeystoreBehindPooler(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	w := newWorld(t)
	tenant := tenantOf(t, w.a).UUID()
	for mode, named := range map[string]bool{"exec": false, "simple_protocol": false, "cache_describe": false, "cache_statement": true} {
		dsn, err := url.Parse(w.logins.Library)
		must(t, err)
		q := dsn.Query()
		q.Set("default_query_exec_mode", mode)
		dsn.RawQuery = q.Encode()
		s, err := postgres.OpenKeystore(t.Context(), dsn.String())
		must(t, err)
		if got, err := s.Get(t.Context(), tenant, []string{"tenant", "index"}); err != nil || len(got) != 2 {
			t.Errorf("%s: %d keys, %v", mode, len(got), err)
		}
		if n := postgres.KeystoreStatements(t, s); (n > 0) != named {
			t.Errorf("%s: %d named statements", mode, n)
		}
		must(t, s.Close())
	}
}
