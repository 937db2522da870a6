package interop

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// fsckLimit bounds one run: on some damage fsck would never end.
const fsckLimit = time.Minute

// success is the line by which fsck says that all is well. Its exit code says
// nothing.
const success = "Successfully fsck'd log"

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"`
	Plan   string                  `db:"plan"      art32:"open"`
}

var customers = tenancy.MustRepository[customer]("customers")

// TestFsck lets Tessera's fsck judge an export: as it is, and damaged in the
// ways that a verifier must notice.
func TestFsck(t *testing.T) {
	t.Parallel()
	fsck := buildFsck(t)
	export := filepath.Join(t.TempDir(), "export")
	makeExport(t, export)
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		passes bool
	}{
		{"as it is", func(*testing.T, string) {}, true},
		{"byte of the checkpoint", func(t *testing.T, dir string) { flip(t, dir, "checkpoint", 60) }, false},
		{"byte of a hash tile", func(t *testing.T, dir string) { flip(t, dir, "tile/0/000", 777) }, false},
		{"byte of an entry bundle", func(t *testing.T, dir string) { flip(t, dir, "tile/entries/001", 777) }, false},
		{"missing tile", func(t *testing.T, dir string) { remove(t, dir, "tile/0/001") }, false},
		{"another public key", otherKey, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(export)))
			c.damage(t, dir)
			out, passed := run(t, fsck, dir)
			if passed != c.passes {
				t.Errorf("passed: %v, want %v\n%s", passed, c.passes, out)
			}
		})
	}
}

// buildFsck builds the verifier from the version that go.mod names.
func buildFsck(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fsck")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/transparency-dev/tessera/cmd/fsck")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build fsck: %v\n%s", err, out)
	}
	return path
}

func run(t *testing.T, fsck, dir string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fsckLimit)
	defer cancel()
	out, _ := exec.CommandContext(ctx, fsck, "--ui=false", "--N=64",
		"--storage_url=file://"+dir, "--public_key="+filepath.Join(dir, "log.vkey")).CombinedOutput()
	return string(out), strings.Contains(string(out), success)
}

// makeExport fills a log beyond two full tiles, in several batches, with a
// person erased in between, and exports it.
func makeExport(t *testing.T, dir string) {
	t.Helper()
	ctx := t.Context()
	root := filepath.Join(t.TempDir(), "root.key")
	must(t, keyring.CreateKeyFile(root))
	wrapper, err := keyring.KeyFile(root)
	must(t, err)
	store, err := sqlite.OpenKeystore(ctx, filepath.Join(t.TempDir(), "keys"))
	must(t, err)
	defer store.Close()
	keys, err := keyring.New(wrapper, store, nil)
	must(t, err)
	log, err := audit.New(keys, nil)
	must(t, err)
	migrations := t.TempDir()
	must(t, os.WriteFile(filepath.Join(migrations, "0001_customers.sql"), []byte(
		`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`), 0o600))
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "data"), tenancy.Schema{customers}, keys, log,
		&sqlite.Options{Migrations: os.DirFS(migrations)})
	must(t, err)
	defer db.Close()
	ctx = tenancy.WithActor(ctx, tenancy.MustService("interop"))
	tenant, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Tenant"})
	must(t, err)
	ctx = tenancy.WithTenant(ctx, tenant.ID)
	sealer, err := audit.NewSealer(log, db, nil)
	must(t, err)
	for i, n := range []int{1, 200, 99, 300} {
		first := fill(t, ctx, db, n)
		if i == 1 {
			must(t, keys.Shred(ctx, tenant.ID.UUID(), first))
			must(t, db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return log.EraseSubject(ctx, tx, first) }))
		}
		_, err := sealer.SealDue(ctx)
		must(t, err)
		must(t, audit.Export(ctx, db, tenant.ID, dir))
	}
}

func fill(t *testing.T, ctx context.Context, db *tenancy.DB, n int) (first uuid.UUID) {
	t.Helper()
	must(t, db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
		for i := range n {
			c := &customer{Email: field.New("a@b.de"), Plan: "basic"}
			if err := customers.Insert(ctx, tx, c); err != nil {
				return err
			}
			if i == 0 {
				first = c.ID
			}
		}
		return nil
	}))
	return first
}

func flip(t *testing.T, dir, name string, at int) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	must(t, err)
	b[at] ^= 1
	must(t, os.WriteFile(path, b, 0o600))
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(dir, filepath.FromSlash(name))))
}

// otherKey puts a valid key of the same name in place of the log's.
func otherKey(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "log.vkey")
	b, err := os.ReadFile(path)
	must(t, err)
	name, _, _ := bytes.Cut(b, []byte("+"))
	must(t, os.WriteFile(path, []byte(newKey(t, string(name))+"\n"), 0o600))
}

// TestExportIsPublic: an export holds the files that the format knows, and is
// readable by those it is handed to.
func TestExportIsPublic(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "export")
	makeExport(t, dir)
	var names []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "tile") {
			names = append(names, d.Name())
		}
		return err
	}))
	if !slices.Equal(names, []string{"checkpoint", "log.vkey"}) {
		t.Errorf("got %v", names)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
