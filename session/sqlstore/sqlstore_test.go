package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/session"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// note is the table that a schema needs.
type note struct {
	ID     uuid.UUID  `art32:"key"    db:"id"`
	Tenant tenancy.ID `art32:"tenant" db:"tenant_id"`
}

var schema = tenancy.Schema{tenancy.MustRepository[note]("notes")}

var notes = map[string]fstest.MapFS{
	"sqlite":   {"0001_notes.sql": {Data: []byte("CREATE TABLE notes (id TEXT NOT NULL, tenant_id TEXT NOT NULL, PRIMARY KEY (tenant_id, id))")}},
	"postgres": {"0001_notes.sql": {Data: []byte("CREATE TABLE notes (id uuid NOT NULL, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, id)); SELECT art32.protect('notes')")}},
}

// world is an open platform database and a way past all protection.
type world struct {
	store  *sqlstore.Store
	db     *tenancy.DB
	raw    *sql.DB
	logins postgres.Logins
}

func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); fn(t, onSQLite(t)) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); fn(t, onPostgres(t)) })
}

func keysOf(tb testing.TB, store keyring.Store) (*keyring.Ring, *audit.Log) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "root.key")
	must(tb, keyring.CreateKeyFile(path))
	root, err := keyring.KeyFile(path)
	must(tb, err)
	keys, err := keyring.New(root, store, nil)
	must(tb, err)
	log, err := audit.New(keys, nil)
	must(tb, err)
	return keys, log
}

func onSQLite(tb testing.TB) *world {
	tb.Helper()
	dir := tb.TempDir()
	keystore, err := sqlite.OpenKeystore(tb.Context(), filepath.Join(dir, "keys"))
	must(tb, err)
	tb.Cleanup(func() { _ = keystore.Close() })
	keys, log := keysOf(tb, keystore)
	w := &world{}
	w.db, err = sqlite.Open(tb.Context(), filepath.Join(dir, "data"), schema, keys, log,
		&sqlite.Options{Migrations: notes["sqlite"], Lines: []tenancy.Line{sqlstore.Line()}})
	must(tb, err)
	w.raw, err = sql.Open("sqlite", filepath.Join(dir, "data", "platform.db")+"?_pragma=busy_timeout(5000)")
	must(tb, err)
	return w.ready(tb)
}

func onPostgres(tb testing.TB) *world {
	tb.Helper()
	owner := dbtest.Postgres(tb)
	setup := postgres.SetupOptions{Migrations: notes["postgres"], Lines: []tenancy.Line{audit.Line(), sqlstore.Line()}}
	w := &world{}
	var err error
	w.logins, err = postgres.Setup(tb.Context(), owner, &setup)
	must(tb, err)
	keystore, err := postgres.OpenKeystore(tb.Context(), w.logins.Library)
	must(tb, err)
	tb.Cleanup(func() { _ = keystore.Close() })
	keys, log := keysOf(tb, keystore)
	w.db, err = postgres.Open(tb.Context(), w.logins, schema, keys, log, &postgres.Options{SetupOptions: setup})
	must(tb, err)
	w.raw, err = sql.Open("pgx", owner)
	must(tb, err)
	return w.ready(tb)
}

func (w *world) ready(tb testing.TB) *world {
	tb.Helper()
	tb.Cleanup(func() { _ = w.db.Close() })
	tb.Cleanup(func() { _ = w.raw.Close() })
	var err error
	w.store, err = sqlstore.New(w.db)
	must(tb, err)
	return w
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newRow() session.Row {
	now := time.Now().UTC().Truncate(time.Microsecond)
	var h session.Hash
	id := uuid.New()
	copy(h[:], id[:])
	return session.Row{Hash: h, Session: session.Session{
		ID: id, Tenant: tenancy.NewID(), User: uuid.New(), Created: now, LastSeen: now, Authenticated: now,
	}}
}

func TestStore(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		sessiontest.RunStore(t, func(*testing.T) session.Store { return w.store })
	})
}

func TestNewWithoutDatabase(t *testing.T) {
	t.Parallel()
	if _, err := sqlstore.New(nil); err == nil {
		t.Error("no error")
	}
}

// TestTwoStores shows that what one process ends is ended for another.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		row := newRow()
		must(t, w.store.Insert(t.Context(), row))
		other, err := sqlstore.New(w.db)
		must(t, err)
		if _, err := other.Revoke(t.Context(), session.OfID(row.ID), time.Now(), session.ReasonLogout); err != nil {
			t.Fatal(err)
		}
		got, err := w.store.Lookup(t.Context(), row.Hash)
		must(t, err)
		if got.Reason != session.ReasonLogout || got.Revoked.IsZero() {
			t.Errorf("reason %q, revoked %v", got.Reason, got.Revoked)
		}
	})
}

// TestErrorsHoldNothing makes each method fail, and looks into the errors.
func TestErrorsHoldNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		row := newRow()
		copy(row.Hash[:], "canary-canary-canary-canary-cana")
		must(t, w.store.Insert(ctx, row))
		errs := []error{w.store.Insert(ctx, row)}
		bad := newRow()
		bad.Hash = row.Hash
		errs = append(errs, w.store.Insert(ctx, bad))
		_, err := w.store.Revoke(ctx, session.OfID(row.ID), time.Now(), "")
		errs = append(errs, err)
		must(t, w.db.Close())
		_, err = w.store.Lookup(ctx, row.Hash)
		errs = append(errs, err, w.store.Rotate(ctx, row.Hash, bad), w.store.Touch(ctx, []session.Touch{{ID: row.ID, At: time.Now()}}))
		for i, err := range errs {
			if err == nil {
				t.Fatalf("error %d is nil", i)
			}
			if errors.Is(err, session.ErrNotFound) {
				t.Errorf("error %d passes for an answer: %v", i, err)
			}
			for _, canary := range []string{"canary", "63616e617279", row.ID.String(), row.User.String(), row.Tenant.String()} {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("error %d holds %q: %v", i, canary, err)
				}
			}
		}
	})
}

// TestPlans shows that the table is never read as a whole to find sessions
// (defect 12 of scs), whatever the planner knows about its size.
func TestPlans(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := onSQLite(t)
		for name, where := range map[string]string{
			"lookup": "hash = x'00'", "user": "tenant_id = 'a' AND user_id = 'b' AND revoked_at IS NULL",
			"tenant": "tenant_id = 'a' AND revoked_at IS NULL", "purge": "created_at < 1",
			"ids": "id IN (SELECT value FROM json_each('[]')) AND revoked_at IS NULL",
		} {
			plan := lines(t, w.raw, "EXPLAIN QUERY PLAN SELECT reason FROM art32_sessions WHERE "+where, 4)
			if strings.Contains(plan, "SCAN art32_sessions") {
				t.Errorf("%s: %s", name, plan)
			}
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		w := onPostgres(t)
		_, err := w.raw.ExecContext(t.Context(), `INSERT INTO art32.sessions (id, hash, tenant_id, user_id, created_at, last_seen, authenticated_at)
			SELECT gen_random_uuid(), sha256(i::text::bytea), gen_random_uuid(), gen_random_uuid(), i, i, i FROM generate_series(1, 20000) i;`)
		must(t, err)
		_, err = w.raw.ExecContext(t.Context(), "ANALYZE art32.sessions")
		must(t, err)
		const id = "'6f9619ff-8b86-4d11-b42d-00c04fc964ff'"
		for name, where := range map[string]string{
			"lookup": `hash = '\x00'`, "user": "tenant_id = " + id + " AND user_id = " + id + " AND revoked_at IS NULL",
			"tenant": "tenant_id = " + id + " AND revoked_at IS NULL", "purge": "created_at < 10",
			"ids": "id = ANY ('{6f9619ff-8b86-4d11-b42d-00c04fc964ff}'::uuid[]) AND revoked_at IS NULL",
		} {
			plan := lines(t, w.raw, "EXPLAIN SELECT reason FROM art32.sessions WHERE "+where, 1)
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s: %s", name, plan)
			}
		}
	})
}

// lines gives the last of n columns of each row.
func lines(tb testing.TB, db *sql.DB, query string, n int) string {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query)
	must(tb, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		dest := make([]any, n)
		var text string
		for i := range dest {
			dest[i] = new(any)
		}
		dest[n-1] = &text
		must(tb, rows.Scan(dest...))
		all = append(all, text)
	}
	must(tb, rows.Err())
	return strings.Join(all, "\n")
}

// TestTouchesAreHot shows that a touch rewrites no index on PostgreSQL, so that
// it leaves little for VACUUM.
func TestTouchesAreHot(t *testing.T) {
	t.Parallel()
	w := onPostgres(t)
	ctx := t.Context()
	conn, err := w.raw.Conn(ctx)
	must(t, err)
	defer conn.Close()
	rows := make([]session.Row, 500)
	for i := range rows {
		rows[i] = newRow()
		must(t, w.store.Insert(ctx, rows[i]))
	}
	tx, err := conn.BeginTx(ctx, nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(ctx, "UPDATE art32.sessions SET last_seen = last_seen + 1 WHERE get_byte(uuid_send(id), 0) < 26") // a tenth
	must(t, err)
	var updated, hot int
	must(t, tx.QueryRowContext(ctx, `SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'sessions'`).Scan(&updated, &hot))
	if updated == 0 || hot < updated*9/10 {
		t.Errorf("%d updates, %d of them HOT", updated, hot)
	}
}

// TestRights shows who may do what on PostgreSQL.
func TestRights(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	w := onPostgres(t)
	row := newRow()
	must(t, w.store.Insert(t.Context(), row))
	cases := []struct {
		name, login, text string
		allowed           bool
	}{
		{"app reads", w.logins.App, "SELECT count(*) FROM art32.sessions", false},
		{"app adds", w.logins.App, "INSERT INTO art32.sessions (id) VALUES (gen_random_uuid())", false},
		{"app changes", w.logins.App, "UPDATE art32.sessions SET revoked_at = NULL", false},
		{"app deletes", w.logins.App, "DELETE FROM art32.sessions", false},
		{"library reads", w.logins.Library, "SELECT count(*) FROM art32.sessions", true},
		{"library touches", w.logins.Library, "UPDATE art32.sessions SET last_seen = last_seen + 1", true},
		{"library changes the tenant", w.logins.Library, "UPDATE art32.sessions SET tenant_id = gen_random_uuid()", false},
		{"library changes the user", w.logins.Library, "UPDATE art32.sessions SET user_id = gen_random_uuid()", false},
		{"library makes it younger", w.logins.Library, "UPDATE art32.sessions SET created_at = created_at + 1", false},
		{"library empties", w.logins.Library, "TRUNCATE art32.sessions", false},
	}
	for _, c := range cases {
		db, err := sql.Open("pgx", c.login)
		must(t, err)
		_, err = db.ExecContext(t.Context(), c.text)
		if (err == nil) != c.allowed || err != nil && !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", c.name, err)
		}
		must(t, db.Close())
	}
}

// TestCallersTextSeesNothing shows it for both engines, where callers write SQL.
func TestCallersTextSeesNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		t.Attr("art32.measure", "TOM-8.1")
		ctx := tenancy.WithActor(t.Context(), tenancy.MustService("test"))
		tenant, err := w.db.CreateTenant(ctx, tenancy.Tenant{Name: "Example GmbH"})
		must(t, err)
		row := newRow()
		row.Tenant = tenant.ID
		must(t, w.store.Insert(ctx, row))
		for _, table := range []string{"art32.sessions", "art32_sessions"} {
			err := w.db.InSQL(tenancy.WithTenant(ctx, tenant.ID), func(ctx context.Context, tx *tenancy.SQLTx) error {
				_, err := tx.SQLX().ExecContext(ctx, "UPDATE "+table+" SET user_id = user_id")
				return err
			})
			if err == nil {
				t.Errorf("%s is within reach", table)
			}
		}
	})
}

// many inserts sessions that were created in the microseconds 1 to n.
func (w *world) many(tb testing.TB, n int) {
	tb.Helper()
	text := `INSERT INTO art32.sessions (id, hash, tenant_id, user_id, created_at, last_seen, authenticated_at)
		SELECT gen_random_uuid(), sha256(i::text::bytea), gen_random_uuid(), gen_random_uuid(), i, i, i FROM generate_series(1, $1::int) i`
	if !w.postgres() {
		text = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < $1)
			INSERT INTO art32_sessions (id, hash, tenant_id, user_id, created_at, last_seen, authenticated_at)
			SELECT lower(hex(randomblob(16))), randomblob(32), 'a', 'b', i, i, i FROM c`
	}
	_, err := w.raw.ExecContext(tb.Context(), text, n)
	must(tb, err)
}

func (w *world) postgres() bool { return w.logins.App != "" }

func (w *world) exec(tb testing.TB, sqlite, postgres string) {
	tb.Helper()
	text := sqlite
	if w.postgres() {
		text = postgres
	}
	_, err := w.raw.ExecContext(tb.Context(), text)
	must(tb, err)
}

// TestPurgeInBatches shows that a purge which is cut short has not worked for
// nothing: it deletes in transactions of a thousand rows, the oldest first.
func TestPurgeInBatches(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *world) {
		w.many(t, 2500)
		w.exec(t, "CREATE TRIGGER stop BEFORE DELETE ON art32_sessions WHEN OLD.created_at = 1500 BEGIN SELECT RAISE(ABORT, 'stop'); END",
			`CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''stop''; END';
			CREATE TRIGGER stop BEFORE DELETE ON art32.sessions FOR EACH ROW WHEN (OLD.created_at = 1500) EXECUTE FUNCTION stop()`)
		if n, err := w.store.Purge(t.Context(), time.UnixMicro(2500)); n != 1000 || err == nil {
			t.Errorf("purged %d, error %v; want one batch and an error", n, err)
		}
		w.exec(t, "DROP TRIGGER stop", "DROP TRIGGER stop ON art32.sessions")
		if n, err := w.store.Purge(t.Context(), time.UnixMicro(2500)); n != 1499 || err != nil {
			t.Errorf("purged %d, error %v; want all but the last", n, err)
		}
	})
}

// TestPurgeWaitsForNobody shows on PostgreSQL that a row in somebody's hands does
// not hold up the others.
func TestPurgeWaitsForNobody(t *testing.T) {
	t.Parallel()
	w := onPostgres(t)
	w.many(t, 10)
	tx, err := w.raw.BeginTx(t.Context(), nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "UPDATE art32.sessions SET last_seen = 99 WHERE created_at = 5")
	must(t, err)
	if n, err := w.store.Purge(t.Context(), time.UnixMicro(100)); n != 9 || err != nil {
		t.Errorf("purged %d, error %v", n, err)
	}
}
