package backup_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

type customer struct {
	ID     uuid.UUID               `art32:"key,subject"            db:"id"`
	Tenant tenancy.ID              `art32:"tenant"                 db:"tenant_id"`
	Email  field.Encrypted[string] `art32:"index=email_bidx:email" db:"email"`
	City   string                  `art32:"personal"               db:"city"`
	Plan   string                  `art32:"open"                   db:"plan"`
}

var (
	customers     = tenancy.MustRepository[customer]("customers")
	customerEmail = tenancy.MustColumn[string](customers, "email")
	schema        = tenancy.Schema{customers}
	migrations    = fstest.MapFS{"0001_customers.sql": {Data: []byte(`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL,
		email BLOB, email_bidx BLOB, city TEXT NOT NULL, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}
)

// Words that must stand nowhere in a target or a vault.
const (
	tenantName  = "Kanarienvogel Versicherungen"
	emailCanary = "petra.gruenwald@kanarie.example"
	cityCanary  = "Xanten-Zweitort"
	planCanary  = "kanarienplan"
	holdPayload = "kanariennachricht"
)

// world is a service with its data, its vault and its target.
type world struct {
	root   string // of all folders
	data   string
	vaults []string
	target string
	ops    []*age.X25519Identity // the recovery identities
	keys   *keyring.Ring
	store  *sqlite.Keystore
	log    *audit.Log
	db     *tenancy.DB
	vault  *backup.Vault
	job    *backup.Job
	to     *dirtarget.Target
	a, b   tenancy.ID
}

// newWorld is a service with two tenants, of which the first has people.
func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := layOut(tb, tb.TempDir())
	w.open(tb)
	w.a, w.b = w.tenant(tb), w.tenant(tb)
	w.add(tb, w.a, 5)
	w.add(tb, w.b, 2)
	return w
}

func (w *world) tenant(tb testing.TB) tenancy.ID {
	tb.Helper()
	t, err := w.db.CreateTenant(asService(tb.Context()), tenancy.Tenant{Name: tenantName})
	must(tb, err)
	return t.ID
}

// layOut makes the folders and the keys that a person makes once.
func layOut(tb testing.TB, root string) *world {
	tb.Helper()
	w := &world{root: root, data: filepath.Join(root, "data"), target: filepath.Join(root, "target")}
	for _, name := range []string{"vault-a", "vault-b"} {
		w.vaults = append(w.vaults, filepath.Join(root, name))
	}
	for _, dir := range append(w.vaults, w.target) {
		must(tb, os.Mkdir(dir, 0o700))
	}
	must(tb, keyring.CreateKeyFile(filepath.Join(root, "root.key")))
	for range 2 {
		id, err := age.GenerateX25519Identity()
		must(tb, err)
		w.ops = append(w.ops, id)
	}
	return w
}

func (w *world) recipients() []string {
	var all []string
	for _, id := range w.ops {
		all = append(all, id.Recipient().String())
	}
	return all
}

func (w *world) rootKey(tb testing.TB) keyring.Wrapper {
	tb.Helper()
	k, err := keyring.KeyFile(filepath.Join(w.root, "root.key"))
	must(tb, err)
	return k
}

// open starts the service; close ends it.
func (w *world) open(tb testing.TB) {
	tb.Helper()
	must(tb, w.tryOpen(tb))
	tb.Cleanup(w.close)
}

func (w *world) tryOpen(tb testing.TB) (err error) {
	ctx := tb.Context()
	if w.store, err = sqlite.OpenKeystore(ctx, w.data); err != nil {
		return err
	}
	if w.keys, err = keyring.New(w.rootKey(tb), w.store, nil); err != nil {
		return err
	}
	if w.log, err = audit.New(w.keys, nil); err != nil {
		return err
	}
	if w.vault, err = backup.OpenVault(ctx, w.keys, w.recipients(), w.vaults...); err != nil {
		return err
	}
	w.db, err = sqlite.Open(ctx, w.data, schema, w.keys, w.log, &sqlite.Options{
		Migrations: migrations, Ledger: w.vault.Ledger(), Lines: []tenancy.Line{sqlstore.Line()}, // which a restore does not know
	})
	if err != nil {
		return err
	}
	if w.to, err = dirtarget.Open(w.target); err != nil {
		return err
	}
	w.job, err = w.newJob(nil)
	return err
}

func (w *world) newJob(o *backup.Options) (*backup.Job, error) {
	recorder, err := audit.NewRecorder(w.log, w.db)
	if err != nil {
		return nil, err
	}
	return backup.New(sqlitesource.New(w.data, nil), w.to, w.vault, w.keys, recorder, o)
}

func (w *world) close() {
	_ = w.db.Close()
	_ = w.store.Close()
	_ = w.to.Close()
}

func asService(ctx context.Context) context.Context {
	return tenancy.WithActor(ctx, tenancy.MustService("test"))
}

func in(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(asService(ctx), id)
}

// add gives a tenant n customers and a message that waits.
func (w *world) add(tb testing.TB, id tenancy.ID, n int) []*customer {
	tb.Helper()
	var all []*customer
	for i := range n {
		c := &customer{Email: field.New(fmt.Sprintf("%d.%s", i, emailCanary)), City: cityCanary, Plan: planCanary}
		must(tb, customers.Insert(in(tb.Context(), id), w.db, c))
		all = append(all, c)
	}
	w.enqueue(tb, id)
	return all
}

func (w *world) enqueue(tb testing.TB, id tenancy.ID) {
	tb.Helper()
	eng := w.db.Engine(engine.Library)
	query, args := outbox.Enqueue(eng.Dialect(), outbox.Message{Tenant: id.UUID(), Kind: "test", Payload: []byte(holdPayload)})
	tx, err := eng.Begin(tb.Context(), engine.Scope{Tenant: id.UUID()})
	must(tb, err)
	_, err = tx.Run(tb.Context(), engine.Stmt{SQL: query, Args: args}, engine.Commit, nil)
	must(tb, err)
}

func (w *world) run(tb testing.TB) *backup.Manifest {
	tb.Helper()
	m, err := w.job.Run(tb.Context())
	must(tb, err)
	return m
}

// restoreOptions are those of the operator, whose identity is the first.
func (w *world) restoreOptions(tb testing.TB) *backup.RestoreOptions {
	tb.Helper()
	return w.restoreOptionsOf(tb, w.job.Signer())
}

func (w *world) restoreOptionsOf(tb testing.TB, signer string) *backup.RestoreOptions {
	tb.Helper()
	return &backup.RestoreOptions{
		Signer: signer, Vault: w.vaults, Identities: []age.Identity{w.ops[0]}, Root: w.rootKey(tb),
		Log: func(r *keyring.Ring) (tenancy.ChangeRecorder, error) { return audit.New(r, nil) },
		Recorder: func(l tenancy.ChangeRecorder, db *tenancy.DB) (backup.Recorder, error) {
			log, ok := l.(*audit.Log)
			if !ok {
				return nil, errors.New("not the log that was made")
			}
			return audit.NewRecorder(log, db)
		},
	}
}

// restore restores into a new directory.
func (w *world) restore(tb testing.TB, run string, o *backup.RestoreOptions) (*backup.Restored, string, error) {
	tb.Helper()
	dir := filepath.Join(w.root, "restored-"+uuid.NewString())
	res, err := backup.Restore(tb.Context(), w.to, run, sqlitesource.Into(dir, nil), o)
	return res, dir, err
}

// elsewhere opens a restored directory as the application does.
func (w *world) elsewhere(tb testing.TB, dir string) *world {
	tb.Helper()
	c := *w
	c.data = dir
	c.open(tb)
	return &c
}

// everybody lists the customers of a tenant: id, mail or its error, city, plan.
func (w *world) everybody(tb testing.TB, id tenancy.ID) []string {
	tb.Helper()
	var all []string
	for c, err := range customers.List(in(tb.Context(), id), w.db) {
		must(tb, err)
		mail, err := c.Email.Reveal()
		if err != nil {
			mail = err.Error()
		}
		all = append(all, fmt.Sprint(c.ID, " ", mail, " ", c.City, " ", c.Plan))
	}
	slices.Sort(all)
	return all
}

// rows dumps a file with plain SQL, past the library.
func rows(tb testing.TB, path, query string) []string {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	must(tb, err)
	defer db.Close()
	rs, err := db.QueryContext(tb.Context(), query)
	must(tb, err)
	defer rs.Close()
	var out []string
	for rs.Next() {
		var s string
		must(tb, rs.Scan(&s))
		out = append(out, s)
	}
	must(tb, rs.Err())
	return out
}

func (w *world) path(name string) string { return filepath.Join(w.target, filepath.FromSlash(name)) }

// list gives the runs, and how many of them are incomplete.
func (w *world) list(tb testing.TB) (committed, incomplete []string) {
	tb.Helper()
	runs, err := backup.List(tb.Context(), w.to)
	must(tb, err)
	for _, r := range runs {
		if r.Manifest != nil {
			committed = append(committed, r.Name)
		} else {
			incomplete = append(incomplete, r.Name)
		}
	}
	return committed, incomplete
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
	for _, canary := range []string{tenantName, emailCanary, cityCanary, planCanary, "AGE-SECRET-KEY"} {
		if strings.Contains(err.Error(), canary) {
			tb.Errorf("the error tells %q: %v", canary, err)
		}
	}
}

// readAll is every byte and every name below folders.
func readAll(tb testing.TB, dirs ...string) []byte {
	tb.Helper()
	var all bytes.Buffer
	for _, dir := range dirs {
		must(tb, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			all.WriteString(path[len(dir):] + "\n")
			if d.Type().IsRegular() {
				b, err := os.ReadFile(path)
				must(tb, err)
				all.Write(b)
			}
			return nil
		}))
	}
	return all.Bytes()
}

// copyDir copies a folder.
func copyDir(tb testing.TB, from string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy")
	must(tb, os.CopyFS(to, os.DirFS(from)))
	must(tb, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
	return to
}

// attrs makes a map of figures.
func attrs(list []slog.Attr) map[string]any {
	m := map[string]any{}
	for _, a := range list {
		m[a.Key] = a.Value.Any()
	}
	return m
}

func openTarget(dir string) (*dirtarget.Target, error) { return dirtarget.Open(dir) }

func uuidOf(s string) uuid.UUID { return uuid.MustParse(s) }

// restoreAt restores into a directory that a test names.
func (w *world) restoreAt(tb testing.TB, run, dir string) {
	tb.Helper()
	_, err := backup.Restore(tb.Context(), w.to, run, sqlitesource.Into(dir, nil), w.restoreOptions(tb))
	must(tb, err)
}
