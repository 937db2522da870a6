package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
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
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// world is a manager with its store and its events.
type world struct {
	store  *watched
	rec    session.Recorder // also told to log
	log    *events
	logged *buffer
	db     *tenancy.DB // nil in memory
	audit  *audit.Log
	m      *session.Manager
	id     session.Identity
}

// inMemory is a world without database.
func inMemory(tb testing.TB, o *session.Options) *world {
	tb.Helper()
	w := &world{
		store: &watched{Store: memstore.New()}, log: &events{}, logged: &buffer{},
		id: session.Identity{Tenant: tenancy.NewID(), User: uuid.New()},
	}
	w.rec = w.log
	w.m = w.manager(tb, o)
	return w
}

// manager is another node of the same world.
func (w *world) manager(tb testing.TB, o *session.Options) *session.Manager {
	tb.Helper()
	if o == nil {
		o = &session.Options{}
	}
	own := *o
	own.Logger = slog.New(slog.NewTextHandler(w.logged, nil))
	m, err := session.New(w.store, w.rec, &own)
	must(tb, err)
	return m
}

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

// onSQLite is a world whose store and log are real ones in SQLite.
func onSQLite(tb testing.TB, o *session.Options) *world {
	tb.Helper()
	dir := tb.TempDir()
	keystore, err := sqlite.OpenKeystore(tb.Context(), filepath.Join(dir, "keys"))
	must(tb, err)
	tb.Cleanup(func() { _ = keystore.Close() })
	keys, log := keysOf(tb, keystore)
	db, err := sqlite.Open(tb.Context(), filepath.Join(dir, "data"), schema, keys, log,
		&sqlite.Options{Migrations: notes["sqlite"], Lines: []tenancy.Line{sqlstore.Line()}})
	must(tb, err)
	return onDatabase(tb, db, log, o)
}

// onPostgres is the same on PostgreSQL.
func onPostgres(tb testing.TB, o *session.Options) *world {
	tb.Helper()
	setup := postgres.SetupOptions{Migrations: notes["postgres"], Lines: []tenancy.Line{audit.Line(), sqlstore.Line()}}
	logins, err := postgres.Setup(tb.Context(), dbtest.Postgres(tb), &setup)
	must(tb, err)
	keystore, err := postgres.OpenKeystore(tb.Context(), logins.Library)
	must(tb, err)
	tb.Cleanup(func() { _ = keystore.Close() })
	keys, log := keysOf(tb, keystore)
	db, err := postgres.Open(tb.Context(), logins, schema, keys, log, &postgres.Options{SetupOptions: setup})
	must(tb, err)
	return onDatabase(tb, db, log, o)
}

func onDatabase(tb testing.TB, db *tenancy.DB, log *audit.Log, o *session.Options) *world {
	tb.Helper()
	tb.Cleanup(func() { _ = db.Close() })
	store, err := sqlstore.New(db)
	must(tb, err)
	tenant, err := db.CreateTenant(tenancy.WithActor(tb.Context(), tenancy.MustService("test")), tenancy.Tenant{Name: "Example GmbH"})
	must(tb, err)
	w := &world{
		store: &watched{Store: store}, log: &events{}, logged: &buffer{}, db: db, audit: log,
		id: session.Identity{Tenant: tenant.ID, User: uuid.New()},
	}
	rec, err := audit.NewRecorder(log, db)
	must(tb, err)
	w.log.next = rec
	w.rec = w.log
	w.m = w.manager(tb, o)
	return w
}

// worlds are the ways to make one.
var worlds = map[string]func(testing.TB, *session.Options) *world{"memory": inMemory, "sqlite": onSQLite, "postgres": onPostgres}

// onAll runs fn in each of them.
func onAll(t *testing.T, o *session.Options, fn func(t *testing.T, w *world)) {
	t.Helper()
	on(t, []string{"memory", "sqlite", "postgres"}, o, fn)
}

// onTwo is onAll without PostgreSQL, for what does not depend on the store.
func onTwo(t *testing.T, o *session.Options, fn func(t *testing.T, w *world)) {
	t.Helper()
	on(t, []string{"memory", "sqlite"}, o, fn)
}

func on(t *testing.T, names []string, o *session.Options, fn func(t *testing.T, w *world)) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-2.3")
			fn(t, worlds[name](t, o))
		})
	}
}

// watched is a store whose methods can be counted, stopped and broken.
type watched struct {
	session.Store

	mu     sync.Mutex
	calls  map[string]int
	err    map[string]error  // by method
	before map[string]func() // by method
	after  map[string]func()
}

var errDown = errors.New("store: connection refused")

func (s *watched) set(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = map[string]error{}
	}
	s.err[method] = err
}

func (s *watched) hook(hooks *map[string]func(), method string, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *hooks == nil {
		*hooks = map[string]func(){}
	}
	(*hooks)[method] = fn
}

func (s *watched) enter(method string) error {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[method]++
	before, err := s.before[method], s.err[method]
	s.mu.Unlock()
	if before != nil {
		before()
	}
	return err
}

func (s *watched) leave(method string) {
	s.mu.Lock()
	after := s.after[method]
	s.mu.Unlock()
	if after != nil {
		after()
	}
}

func (s *watched) count(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}

func (s *watched) Insert(ctx context.Context, row session.Row) error {
	if err := s.enter("Insert"); err != nil {
		return err
	}
	return s.Store.Insert(ctx, row)
}

func (s *watched) Lookup(ctx context.Context, h session.Hash) (session.Row, error) {
	if err := s.enter("Lookup"); err != nil {
		return session.Row{}, err
	}
	row, err := s.Store.Lookup(ctx, h)
	s.leave("Lookup")
	return row, err
}

func (s *watched) Touch(ctx context.Context, touches []session.Touch) error {
	if err := s.enter("Touch"); err != nil {
		return err
	}
	return s.Store.Touch(ctx, touches)
}

func (s *watched) Revoke(ctx context.Context, sel session.Selector, at time.Time, why session.Reason) ([]uuid.UUID, error) {
	if err := s.enter("Revoke"); err != nil {
		return nil, err
	}
	return s.Store.Revoke(ctx, sel, at, why)
}

func (s *watched) List(ctx context.Context, sel session.Selector) ([]session.Session, error) {
	if err := s.enter("List"); err != nil {
		return nil, err
	}
	return s.Store.List(ctx, sel)
}

func (s *watched) Purge(ctx context.Context, before time.Time) (int, error) {
	if err := s.enter("Purge"); err != nil {
		return 0, err
	}
	return s.Store.Purge(ctx, before)
}

// events are what was recorded.
type events struct {
	next session.Recorder

	mu   sync.Mutex
	err  error
	all  []string
	text []string
}

// Record keeps "action tenant actor session attrs".
func (e *events) Record(ctx context.Context, action string, attrs ...slog.Attr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	if e.next != nil {
		if err := e.next.Record(ctx, action, attrs...); err != nil {
			return err
		}
	}
	tenant, _ := tenancy.TenantFrom(ctx)
	actor, _ := tenancy.ActorFrom(ctx)
	e.all = append(e.all, action)
	e.text = append(e.text, fmt.Sprint(action, " ", tenant, " ", actor, " ", tenancy.SessionFrom(ctx), " ", attrs))
	return nil
}

func (e *events) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err = err
}

func (e *events) actions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.all...)
}

func (e *events) texts() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string{}, e.text...)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// login logs the world's person in.
func (w *world) login(tb testing.TB) *http.Cookie {
	tb.Helper()
	return sessiontest.Login(tb, w.m, w.id)
}

// whoami answers with the user of the session, or "nobody".
func whoami(w http.ResponseWriter, r *http.Request) {
	if s, ok := session.From(r.Context()); ok {
		fmt.Fprint(w, s.User)
		return
	}
	fmt.Fprint(w, "nobody")
}

// ask sends GET with cookies through a manager to a handler.
func ask(tb testing.TB, m *session.Manager, h http.HandlerFunc, cookies ...*http.Cookie) *http.Response {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "https://example.com/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return send(m, h, r)
}

func send(m *session.Manager, h http.HandlerFunc, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	m.Middleware(h).ServeHTTP(w, r)
	return w.Result()
}

// wantUser asks who the cookie's owner is.
func (w *world) wantUser(tb testing.TB, c *http.Cookie) {
	tb.Helper()
	wantBody(tb, ask(tb, w.m, whoami, c), http.StatusOK, w.id.User.String())
}

// wantNobody is its opposite; where a session is required the cookie is cleared.
func (w *world) wantNobody(tb testing.TB, c *http.Cookie) {
	tb.Helper()
	res := ask(tb, w.m, whoami, c)
	wantBody(tb, res, http.StatusOK, "nobody")
	if len(res.Cookies()) != 0 {
		tb.Fatalf("a response that caches may keep sets a cookie: %v", res.Header)
	}
	res = ask(tb, w.m, w.m.Require(http.HandlerFunc(whoami)).ServeHTTP, c)
	wantBody(tb, res, http.StatusUnauthorized, "login required\n")
	wantCleared(tb, res)
}

func wantBody(tb testing.TB, res *http.Response, status int, text string) {
	tb.Helper()
	var body bytes.Buffer
	_, _ = body.ReadFrom(res.Body)
	if res.StatusCode != status || body.String() != text {
		tb.Fatalf("got %d %q, want %d %q", res.StatusCode, body.String(), status, text)
	}
}

func wantCleared(tb testing.TB, res *http.Response) {
	tb.Helper()
	cs := res.Cookies()
	if res.Header.Get("Cache-Control") != "no-store" {
		tb.Fatal("caches may keep the response that clears the cookie")
	}
	if len(cs) != 1 || cs[0].Name != session.CookieName || cs[0].MaxAge >= 0 || cs[0].Value != "" {
		tb.Fatalf("the cookie was not cleared: %v", res.Header["Set-Cookie"])
	}
}

// stream starts a request that ends with its context, and gives the cause.
func stream(tb testing.TB, m *session.Manager, c *http.Cookie) (started <-chan struct{}, ended <-chan error) {
	tb.Helper()
	begun, end := make(chan struct{}), make(chan error, 1)
	go func() {
		ask(tb, m, func(_ http.ResponseWriter, r *http.Request) {
			close(begun)
			<-r.Context().Done()
			end <- context.Cause(r.Context())
		}, c)
	}()
	return begun, end
}

// row reads the session of a cookie past the manager.
func (w *world) row(tb testing.TB, c *http.Cookie) session.Row {
	tb.Helper()
	h, ok := session.Carried(http.Header{"Cookie": {c.Name + "=" + c.Value}})
	if !ok {
		tb.Fatal("the cookie holds no token")
	}
	row, err := w.store.Store.Lookup(tb.Context(), h)
	must(tb, err)
	return row
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("got error %v, want %v", err, want)
	}
}
