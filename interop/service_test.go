package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
	"github.com/art32/art32/backup/pgsource"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/postgres"
	"github.com/art32/art32/tenancy/sqlite"
)

// customerTables are the application's migrations, by engine.
var customerTables = map[string]fstest.MapFS{
	"sqlite": {"0001_customers.sql": {Data: []byte(
		`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}},
	"postgres": {"0001_customers.sql": {Data: []byte(
		`CREATE TABLE customers (id uuid NOT NULL, tenant_id uuid NOT NULL, email bytea, plan text NOT NULL, PRIMARY KEY (tenant_id, id));
		SELECT art32.protect('customers');`)}},
}

// service is a program with backups, as an operator sets it up.
type service struct {
	engine  string
	root    string
	data    string          // of SQLite
	logins  postgres.Logins // of PostgreSQL
	path    string          // PATH with age on it
	vaults  []string
	db      *tenancy.DB
	keys    *keyring.Ring
	store   keyring.Lister
	vault   *backup.Vault
	target  *dirtarget.Target
	log     *audit.Log
	job     *backup.Job
	tenants []tenancy.ID
}

func newService(t *testing.T, engine string) *service {
	t.Helper()
	s := &service{engine: engine, root: t.TempDir()}
	bin := t.TempDir()
	s.path = bin + string(os.PathListSeparator) + os.Getenv("PATH")
	build(t, bin, ".", "filippo.io/age/cmd/age", "filippo.io/age/cmd/age-keygen")
	for _, name := range []string{"target", "vault-a", "vault-b"} {
		must(t, os.Mkdir(filepath.Join(s.root, name), 0o700))
	}
	s.vaults = []string{filepath.Join(s.root, "vault-a"), filepath.Join(s.root, "vault-b")}
	s.sh(t, s.root, `for who in operator escrow stranger; do age-keygen -o $who.txt; age-keygen -y $who.txt > $who.pub; done
		ssh-keygen -q -t ed25519 -N '' -f other`)
	must(t, keyring.CreateKeyFile(filepath.Join(s.root, "root.key")))
	s.data = filepath.Join(s.root, "data")
	if engine == "postgres" {
		var err error
		s.logins, err = postgres.Setup(t.Context(), dbtest.Postgres(t),
			&postgres.SetupOptions{Migrations: customerTables[engine], Lines: []tenancy.Line{audit.Line()}})
		must(t, err)
	}
	s.open(t)
	must(t, os.WriteFile(filepath.Join(s.root, "signer.pub"), []byte(s.job.Signer()+"\n"), 0o600))
	for i := range 2 {
		made, err := s.db.CreateTenant(as(t.Context(), tenancy.ID{}), tenancy.Tenant{Name: "Tenant"})
		must(t, err)
		s.tenants = append(s.tenants, made.ID)
		for n := range 3 {
			c := customer{Email: field.New(fmt.Sprintf("%d-%d@example.org", i, n)), Plan: "basic"}
			must(t, customers.Insert(as(t.Context(), made.ID), s.db, &c))
		}
	}
	return s
}

// build builds programs of the module in dir into a folder.
func build(t *testing.T, bin, dir string, programs ...string) {
	t.Helper()
	for _, program := range programs {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, filepath.Base(program)), program)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
}

func (s *service) recipient(t *testing.T, who string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.root, who+".pub"))
	must(t, err)
	return strings.TrimSpace(string(b))
}

// open opens the database with the service's keys and vault.
func (s *service) open(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	wrapper, err := keyring.KeyFile(filepath.Join(s.root, "root.key"))
	must(t, err)
	store := s.keystore(t)
	s.store = store
	s.keys, err = keyring.New(wrapper, store, nil)
	must(t, err)
	s.log, err = audit.New(s.keys, nil)
	must(t, err)
	s.vault, err = backup.OpenVault(ctx, s.keys, []string{s.recipient(t, "operator"), s.recipient(t, "escrow")}, s.vaults...)
	must(t, err)
	source := s.database(t)
	s.target, err = dirtarget.Open(filepath.Join(s.root, "target"))
	must(t, err)
	t.Cleanup(func() { _ = s.target.Close() })
	recorder, err := audit.NewRecorder(s.log, s.db)
	must(t, err)
	s.job, err = backup.New(source, s.target, s.vault, s.keys, recorder, nil)
	must(t, err)
}

// stored is a keystore that can be listed.
type stored interface {
	keyring.Store
	keyring.Lister
}

func (s *service) keystore(t *testing.T) stored {
	t.Helper()
	if s.engine == "postgres" {
		store, err := postgres.OpenKeystore(t.Context(), s.logins.Library)
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	store, err := sqlite.OpenKeystore(t.Context(), s.data)
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func (s *service) database(t *testing.T) (source backup.Source) {
	t.Helper()
	var err error
	schema, tables := tenancy.Schema{customers}, customerTables[s.engine]
	if s.engine == "postgres" {
		o := postgres.Options{SetupOptions: postgres.SetupOptions{Migrations: tables}, Ledger: s.vault.Ledger()}
		s.db, err = postgres.Open(t.Context(), s.logins, schema, s.keys, s.log, &o)
		must(t, err)
		source, err = pgsource.New(s.logins.Backup, &pgsource.Options{Migrations: tables, Lines: []tenancy.Line{audit.Line()}})
	} else {
		s.db, err = sqlite.Open(t.Context(), s.data, schema, s.keys, s.log, &sqlite.Options{Migrations: tables, Ledger: s.vault.Ledger()})
		source = sqlitesource.New(s.data, nil)
	}
	must(t, err)
	t.Cleanup(func() { _ = s.db.Close() })
	return source
}

// plans lists all customers.
func (s *service) plans(t *testing.T) map[tenancy.ID][]string {
	t.Helper()
	all := map[tenancy.ID][]string{}
	for _, id := range s.tenants {
		for c, err := range customers.List(as(t.Context(), id), s.db) {
			must(t, err)
			mail, err := c.Email.Reveal()
			if err != nil {
				mail = err.Error()
			}
			all[id] = append(all[id], c.ID.String()+" "+c.Plan+" "+mail)
		}
		slices.Sort(all[id])
	}
	return all
}

// erase erases one customer of the first tenant who is not erased yet.
func (s *service) erase(t *testing.T) {
	t.Helper()
	for c, err := range customers.List(as(t.Context(), s.tenants[0]), s.db) {
		must(t, err)
		if _, err := c.Email.Reveal(); err == nil {
			must(t, s.db.Erase(as(t.Context(), s.tenants[0]), c.ID))
			return
		}
	}
	t.Fatal("everybody is erased")
}

// seal gives all events their places in the trees.
func (s *service) seal(t *testing.T) {
	t.Helper()
	sealer, err := audit.NewSealer(s.log, s.db, nil)
	must(t, err)
	_, err = sealer.SealDue(t.Context())
	must(t, err)
}

func as(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(tenancy.WithActor(ctx, tenancy.MustService("interop")), id)
}

func (s *service) command(t *testing.T, dir, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+s.path)
	return cmd
}

func (s *service) sh(t *testing.T, dir, script string) string {
	t.Helper()
	out, err := s.command(t, dir, script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return string(out)
}
