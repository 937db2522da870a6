package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
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

// TestFsck lets Tessera's fsck judge an export: as it is, and changed in the ways
// that a verifier must notice. Our own one has to come to the same verdict, and to
// name the attack.
func TestFsck(t *testing.T) {
	t.Parallel()
	fsck := buildFsck(t)
	x := makeExports(t)
	t.Run("fork", func(t *testing.T) { judgeFork(t, fsck, x) })
	t.Run("logs", func(t *testing.T) { judgeLogs(t, fsck, x) })
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string) // of the log's folder
		kind   audit.Kind                     // "": it passes
	}{
		{"as it is", func(*testing.T, string) {}, ""},
		{"byte of the checkpoint", func(t *testing.T, dir string) { flip(t, dir, "checkpoint", 60) }, audit.KindCheckpoint},
		{"byte of a hash tile", func(t *testing.T, dir string) { flip(t, dir, "tile/0/000", 777) }, audit.KindTileDamaged},
		{"edited entry", func(t *testing.T, dir string) { flip(t, dir, "tile/entries/001", 777) }, audit.KindEdited},
		{"deleted entry", func(t *testing.T, dir string) {
			bundle(t, dir, "tile/entries/001", func(b [][]byte) [][]byte { return slices.Delete(b, 9, 10) })
		}, audit.KindDeleted},
		{"reordered entries", func(t *testing.T, dir string) {
			bundle(t, dir, "tile/entries/001", func(b [][]byte) [][]byte { b[3], b[4] = b[4], b[3]; return b })
		}, audit.KindReordered},
		{"missing tile", func(t *testing.T, dir string) { remove(t, dir, "tile/0/001") }, audit.KindTileDamaged},
		{"end cut off, an old tile left", func(t *testing.T, dir string) {
			remove(t, dir, last("tile/0/"))
			remove(t, dir, last("tile/entries/"))
			if len(matches(t, dir, "tile/0/*.p/*")) == 0 {
				t.Fatal("no tile of an earlier export is left")
			}
		}, audit.KindTailCut},
		{"exchanged tile", func(t *testing.T, dir string) { replace(t, dir, "tile/0/000", filepath.Join(dir, "tile/0/001")) }, audit.KindTileDamaged},
		{"exchanged bundle", func(t *testing.T, dir string) {
			replace(t, dir, "tile/entries/000", filepath.Join(dir, "tile/entries/001"))
		}, audit.KindInserted},
		{"checkpoint of another key", func(t *testing.T, dir string) {
			replace(t, dir, "checkpoint", filepath.Join(dir, "../platform/0/checkpoint"))
		}, audit.KindCheckpoint},
		{"another public key", otherKey, audit.KindCheckpoint},
		{"checkpoint of a fork", func(t *testing.T, dir string) {
			replace(t, dir, "checkpoint", filepath.Join(x.fork, "0/checkpoint"))
		}, audit.KindCheckpoint},
		{"entries of a fork", func(t *testing.T, dir string) {
			replace(t, dir, last("tile/entries/"), filepath.Join(x.fork, "0", last("tile/entries/")))
			replace(t, dir, last("tile/0/"), filepath.Join(x.fork, "0", last("tile/0/")))
		}, audit.KindCheckpoint},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-5.1")
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(x.export)))
			c.damage(t, filepath.Join(dir, "0"))
			out, passed := run(t, fsck, filepath.Join(dir, "0"))
			if passed != (c.kind == "") {
				t.Errorf("fsck passed: %v\n%s", passed, out)
			}
			r, err := audit.VerifyExport(t.Context(), dir, &audit.ExportOptions{PlatformKey: x.platformKey})
			must(t, err)
			if c.kind == "" && !r.OK() || c.kind != "" && !slices.ContainsFunc(r.Findings, func(f audit.Finding) bool { return f.Kind == c.kind }) {
				t.Errorf("want %q, got %+v", c.kind, r.Findings)
			}
		})
	}
}

// judgeFork: both continuations of a log are sound by themselves; that there are
// two shows against a checkpoint that was held.
func judgeFork(t *testing.T, fsck string, x exports) {
	t.Attr("art32.measure", "TOM-5.1")
	held, err := os.ReadFile(filepath.Join(x.fork, "0", "checkpoint"))
	must(t, err)
	for _, dir := range []string{x.export, x.fork} {
		if out, passed := run(t, fsck, filepath.Join(dir, "0")); !passed {
			t.Errorf("%s", out)
		}
		r, err := audit.VerifyExport(t.Context(), dir, &audit.ExportOptions{PlatformKey: x.platformKey, Checkpoints: [][]byte{held}})
		must(t, err)
		if r.OK() != (dir == x.fork) {
			t.Errorf("%s: got %+v", dir, r.Findings)
		}
	}
}

// judgeLogs: after a rotation each log verifies by itself, and so does the
// platform's.
func judgeLogs(t *testing.T, fsck string, x exports) {
	t.Attr("art32.measure", "TOM-5.1")
	for _, dir := range []string{"0", "1"} {
		if out, passed := run(t, fsck, filepath.Join(x.rotated, dir)); !passed {
			t.Errorf("%s: %s", dir, out)
		}
	}
	if out, passed := run(t, fsck, filepath.Join(x.platform, "0")); !passed {
		t.Errorf("%s", out)
	}
	r, err := audit.VerifyExport(t.Context(), x.rotated, &audit.ExportOptions{PlatformKey: x.platformKey})
	must(t, err)
	if !r.OK() || len(r.Logs) != 2 {
		t.Errorf("got %+v", r)
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

// entries is how many the log of export and fork has; the last 10 differ.
const entries = 611

// last is where the last tile of such a log lies.
func last(folder string) string { return fmt.Sprintf("%s%03d.p/%d", folder, entries/256, entries%256) }

// exports are those of one tenant.
type exports struct {
	export, fork, rotated string
	platform              string // the platform's
	platformKey           string
}

// makeExports fills a log beyond two full tiles, in several batches, with a person
// erased in between, and exports it after each. From there it goes on twice, as
// only the holder of its key can make it; the fork is renewed too.
func makeExports(t *testing.T) exports {
	t.Helper()
	dir := t.TempDir()
	x := exports{export: filepath.Join(dir, "export"), fork: filepath.Join(dir, "fork"), rotated: filepath.Join(dir, "rotated"), platform: filepath.Join(dir, "platform")}
	s := &vendor{dir: filepath.Join(dir, "data"), keys: makeKeys(t, dir)}
	s.open(t, func(ctx context.Context) {
		tenant, err := s.db.CreateTenant(ctx, tenancy.Tenant{Name: "Tenant"})
		must(t, err)
		s.tenant = tenant.ID
		ctx = tenancy.WithTenant(ctx, s.tenant)
		for i, n := range []int{1, 200, 99, 300} {
			first := fill(t, ctx, s.db, n)
			if i == 1 {
				must(t, s.keys.Shred(ctx, s.tenant.UUID(), first))
				must(t, s.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return s.log.EraseSubject(ctx, tx, first) }))
			}
			s.export(t, ctx, x.export)
		}
	})
	must(t, os.CopyFS(x.fork, os.DirFS(x.export)))
	forked := &vendor{dir: filepath.Join(dir, "copy"), keys: s.keys, tenant: s.tenant}
	copyPrivate(t, forked.dir, s.dir)
	for out, v := range map[string]*vendor{x.export: s, x.fork: forked} {
		v.open(t, func(ctx context.Context) {
			fill(t, tenancy.WithTenant(ctx, v.tenant), v.db, 10)
			v.export(t, ctx, out)
			if v == forked {
				must(t, v.sealer.Renew(tenancy.WithReason(ctx, "rotation"), v.tenant, audit.Renewal{Cause: audit.CauseRotation}))
				v.export(t, ctx, x.rotated)
				return
			}
			must(t, audit.Export(ctx, v.db, tenancy.ID{}, x.platform))
		})
	}
	r, err := audit.VerifyExport(t.Context(), x.platform, nil)
	must(t, err)
	if x.platformKey = r.PlatformKey; !r.OK() || x.platformKey == "" {
		t.Fatalf("got %+v", r)
	}
	return x
}

// copyPrivate copies files for this user alone.
func copyPrivate(t *testing.T, to, from string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(from)))
	must(t, filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	}))
}

// vendor is an installation on SQLite.
type vendor struct {
	dir    string
	keys   *keyring.Ring
	tenant tenancy.ID
	db     *tenancy.DB
	log    *audit.Log
	sealer *audit.Sealer
}

// open runs fn on the open database.
func (v *vendor) open(t *testing.T, fn func(ctx context.Context)) {
	t.Helper()
	var err error
	v.log, err = audit.New(v.keys, nil)
	must(t, err)
	migrations := fstest.MapFS{"0001_customers.sql": {Data: []byte(
		`CREATE TABLE customers (id TEXT NOT NULL, tenant_id TEXT NOT NULL, email BLOB, plan TEXT NOT NULL, PRIMARY KEY (tenant_id, id))`)}}
	v.db, err = sqlite.Open(t.Context(), v.dir, tenancy.Schema{customers}, v.keys, v.log, &sqlite.Options{Migrations: migrations})
	must(t, err)
	defer v.db.Close()
	v.sealer, err = audit.NewSealer(v.log, v.db, nil)
	must(t, err)
	fn(tenancy.WithActor(t.Context(), tenancy.MustService("interop")))
}

func (v *vendor) export(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	_, err := v.sealer.SealDue(ctx)
	must(t, err)
	must(t, audit.Export(ctx, v.db, v.tenant, dir))
}

func makeKeys(t *testing.T, dir string) *keyring.Ring {
	t.Helper()
	root := filepath.Join(dir, "root.key")
	must(t, keyring.CreateKeyFile(root))
	wrapper, err := keyring.KeyFile(root)
	must(t, err)
	store, err := sqlite.OpenKeystore(t.Context(), filepath.Join(dir, "keys"))
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	keys, err := keyring.New(wrapper, store, nil)
	must(t, err)
	return keys
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

func replace(t *testing.T, dir, name, with string) {
	t.Helper()
	b, err := os.ReadFile(with)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), b, 0o600))
}

func matches(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
	must(t, err)
	return names
}

// bundle changes the entries of a bundle.
func bundle(t *testing.T, dir, name string, fn func([][]byte) [][]byte) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	b, err := os.ReadFile(path)
	must(t, err)
	var all [][]byte
	for len(b) > 0 {
		n := 2 + int(binary.BigEndian.Uint16(b))
		all, b = append(all, b[:n]), b[n:]
	}
	must(t, os.WriteFile(path, bytes.Join(fn(all), nil), 0o600))
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
	x := makeExports(t)
	var names []string
	must(t, filepath.WalkDir(x.rotated, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if want := map[bool]fs.FileMode{false: 0o644, true: 0o755}[d.IsDir()]; err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		if name, _ := filepath.Rel(x.rotated, path); !d.IsDir() && !strings.Contains(name, "tile") {
			names = append(names, filepath.ToSlash(name))
		}
		return nil
	}))
	want := []string{"0/checkpoint", "0/log.vkey", "0/opening", "1/checkpoint", "1/log.vkey", "1/opening", "1/succession", "platform/0/checkpoint", "platform/0/log.vkey"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
