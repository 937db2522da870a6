package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // another driver

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
)

// TestOpenConfigs opens with passwords that only a hook knows, through a dialer of the
// caller's, and goes on when both have changed.
func TestOpenConfigs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var passwords atomic.Value // user → password
	var hooks, dials atomic.Int64
	c, err := w.logins.Configs()
	must(t, err)
	passwords.Store(map[string]string{c.Library.ConnConfig.User: c.Library.ConnConfig.Password, c.App.ConnConfig.User: c.App.ConnConfig.Password})
	for _, one := range []*pgxpool.Config{c.Library, c.App} {
		one.ConnConfig.Password = "expired"
		one.BeforeConnect = func(_ context.Context, to *pgx.ConnConfig) error {
			hooks.Add(1)
			to.Password = passwords.Load().(map[string]string)[to.User]
			return nil
		}
		one.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	store, err := postgres.OpenKeystoreConfig(t.Context(), c.Library)
	must(t, err)
	defer store.Close()
	keys, err := keyring.New(w.root, store, nil)
	must(t, err)
	w.db, err = postgres.OpenConfigs(t.Context(), c, schema, keys, trace{}, nil)
	must(t, err)
	defer w.db.Close()
	row := w.insert(w.a, t, "Anton")
	use := func() error {
		_, err := customers.Get(w.a, w.db, row.ID)
		n, rerr := w.seen(w.a)
		if rerr == nil && n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
		return errors.Join(err, rerr)
	}
	must(t, use())
	if hooks.Load() < 3 || dials.Load() < 3 {
		t.Errorf("%d calls of the hook, %d of the dialer", hooks.Load(), dials.Load())
	}
	fresh := map[string]string{}
	for _, kind := range []string{"library", "app"} {
		w.admin(t).MustExec("ALTER ROLE " + w.role(t, kind) + " PASSWORD 'new'")
	}
	fresh[c.Library.ConnConfig.User], fresh[c.App.ConnConfig.User] = "new", "new"
	passwords.Store(fresh)
	w.admin(t).MustExec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename LIKE current_database() || '\\_%'")
	must(t, eventually(t, use))
}

// TestConfigsAreJudged: what a DSN is refused for, a configuration is too, and also
// when a hook changes it later.
func TestConfigsAreJudged(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-4.1")
	w := newWorld(t)
	away := func(_ context.Context, to *pgx.ConnConfig) error { to.Host = "192.0.2.1"; return nil }
	for name, c := range map[string]struct {
		change func(c *postgres.Configs)
		want   string
	}{
		"no library":      {func(c *postgres.Configs) { c.Library = nil }, "library login: no configuration"},
		"no app":          {func(c *postgres.Configs) { c.App = &pgxpool.Config{} }, "app login: no configuration"},
		"network":         {func(c *postgres.Configs) { c.App.ConnConfig.Host = "192.0.2.1" }, "app login: the server is reached over a network and not verified"},
		"network by hook": {func(c *postgres.Configs) { c.Library.BeforeConnect = away }, "library login: the server is reached over a network and not verified"},
		"app by hook":     {func(c *postgres.Configs) { c.App.BeforeConnect = away }, "app login: the server is reached over a network and not verified"},
		"hook of no use":  {func(c *postgres.Configs) { c.App.AfterConnect = func(context.Context, *pgx.Conn) error { return nil } }, "app login: no hook but BeforeConnect is called"},
		"ping of no use": {func(c *postgres.Configs) {
			c.App.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
		}, "app login: no hook but BeforeConnect is called"},
	} {
		configs, err := w.logins.Configs()
		must(t, err)
		c.change(&configs)
		if _, err := postgres.OpenConfigs(t.Context(), configs, schema, w.keys, trace{}, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, err := postgres.OpenKeystoreConfig(t.Context(), configs.App); strings.HasPrefix(c.want, "app") &&
			(err == nil || !strings.Contains(err.Error(), strings.Replace(c.want, "app", "keystore", 1))) {
			t.Errorf("%s: keystore: %v", name, err)
		}
	}
	for _, l := range []postgres.Logins{{Library: "postgres://[::1", App: w.logins.App}, {Library: w.logins.Library, App: "postgres://[::1"}} {
		if _, err := l.Configs(); err == nil || !strings.Contains(err.Error(), "not a valid postgres:// URL") {
			t.Errorf("%v", err)
		}
	}
}

// TestConfigOf takes from a *sql.DB how it connects, and leaves its pool alone.
func TestConfigOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	configOf := func(driver, dsn string) (*pgxpool.Config, error) {
		db, err := sql.Open(driver, dsn)
		must(t, err)
		defer db.Close() // what is opened has a pool of its own
		return postgres.ConfigOf(t.Context(), db)
	}
	library, err := configOf("pgx", w.logins.Library)
	must(t, err)
	app, err := configOf("pgx", w.logins.App)
	must(t, err)
	db, err := postgres.OpenConfigs(t.Context(), postgres.Configs{Library: library, App: app}, schema, w.keys, trace{}, nil)
	must(t, err)
	defer db.Close()
	must(t, customers.Insert(w.a, db, newCustomer("a@example.org", "Anton")))
	if _, err := configOf("sqlite", ":memory:"); err == nil || !strings.Contains(err.Error(), "not those of pgx") {
		t.Errorf("another driver: %v", err)
	}
	u, err := url.Parse(w.logins.App)
	must(t, err)
	u.User = url.UserPassword(u.User.Username(), canary)
	if _, err := configOf("pgx", u.String()); !errors.Is(err, tenancy.ErrUnavailable) || strings.Contains(err.Error(), canary) {
		t.Errorf("wrong password: %v", err)
	}
}
