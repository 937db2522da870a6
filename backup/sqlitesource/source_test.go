package sqlitesource_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

type note struct {
	ID     uuid.UUID  `art32:"key"    db:"id"`
	Tenant tenancy.ID `art32:"tenant" db:"tenant_id"`
	Text   string     `art32:"open"   db:"text"`
}

var notes = tenancy.MustRepository[note]("notes")

// service is a directory in use.
type service struct {
	dir, keys string
	db        *tenancy.DB
	store     *sqlite.Keystore
	tenants   []tenancy.ID
}

func newService(t *testing.T, tenants int) *service {
	t.Helper()
	root := t.TempDir()
	s := &service{dir: filepath.Join(root, "data"), keys: filepath.Join(root, "keys")}
	must(t, keyring.CreateKeyFile(filepath.Join(root, "root.key")))
	wrapper, err := keyring.KeyFile(filepath.Join(root, "root.key"))
	must(t, err)
	s.store, err = sqlite.OpenKeystore(t.Context(), s.keys)
	must(t, err)
	keys, err := keyring.New(wrapper, s.store, nil)
	must(t, err)
	log, err := audit.New(keys, nil)
	must(t, err)
	s.db, err = sqlite.Open(t.Context(), s.dir, tenancy.Schema{notes}, keys, log, &sqlite.Options{
		Migrations: fstest.MapFS{"0001_notes.sql": {Data: []byte(
			`CREATE TABLE notes (id TEXT NOT NULL, tenant_id TEXT NOT NULL, text TEXT NOT NULL, twice TEXT AS (text || text), PRIMARY KEY (tenant_id, id));
			CREATE VIRTUAL TABLE found USING fts5(text)`)}},
		Lines: []tenancy.Line{sqlstore.Line()},
	})
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(s.db.Close(), s.store.Close())) })
	for range tenants {
		s.tenant(t)
	}
	return s
}

// tenant adds a tenant with a row.
func (s *service) tenant(t *testing.T) tenancy.ID {
	t.Helper()
	made, err := s.db.CreateTenant(as(t.Context(), tenancy.ID{}), tenancy.Tenant{Name: "Tenant"})
	must(t, err)
	s.note(t, made.ID)
	s.tenants = append(s.tenants, made.ID)
	return made.ID
}

func (s *service) note(t *testing.T, id tenancy.ID) {
	t.Helper()
	must(t, notes.Insert(as(t.Context(), id), s.db, &note{Text: "text"}))
}

func as(ctx context.Context, id tenancy.ID) context.Context {
	return tenancy.WithTenant(tenancy.WithActor(ctx, tenancy.MustService("test")), id)
}

func (s *service) source() *sqlitesource.Source {
	return sqlitesource.New(s.dir, &sqlitesource.Options{Keystore: s.keys})
}

func (s *service) raw(t *testing.T, name, text string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, name)+"?_pragma=busy_timeout(5000)")
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), text, args...)
	must(t, err)
}

// collected is a sink that keeps everything.
type collected struct {
	files    map[string][]byte
	tables   map[tenancy.ID][]backup.Table
	complete []tenancy.ID
	onFile   func(name string)
}

func newSink() *collected {
	return &collected{files: map[string][]byte{}, tables: map[tenancy.ID][]backup.Table{}, onFile: func(string) {}}
}

func (c *collected) File(_ context.Context, t tenancy.ID, name string, size int64, r io.Reader) error {
	if _, twice := c.files[name]; twice || slices.Contains(c.complete, t) {
		return fmt.Errorf("%s twice, or after the end", name)
	}
	b, err := io.ReadAll(r)
	if err == nil && int64(len(b)) != size {
		err = fmt.Errorf("%s: %d bytes, announced %d", name, len(b), size)
	}
	c.files[name] = b
	c.onFile(name)
	return err
}

func (c *collected) Table(t tenancy.ID, n backup.Table) { c.tables[t] = append(c.tables[t], n) }

func (c *collected) Complete(_ context.Context, t tenancy.ID) error {
	c.complete = append(c.complete, t)
	return nil
}

// snapshot makes one whole snapshot.
func snapshot(t *testing.T, src *sqlitesource.Source) (*collected, backup.Snapshot) {
	t.Helper()
	snap, err := src.Snapshot(t.Context())
	must(t, err)
	sink := newSink()
	must(t, snap.Write(t.Context(), sink))
	must(t, snap.Keystore(t.Context(), func(name string, size int64, r io.Reader) error {
		return sink.File(t.Context(), tenancy.ID{}, name, size, r)
	}))
	must(t, snap.Close())
	return sink, snap
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	s := newService(t, 2)
	empty, err := s.db.CreateTenant(as(t.Context(), tenancy.ID{}), tenancy.Tenant{Name: "Tenant"})
	must(t, err)
	sink, snap := snapshot(t, s.source())
	if len(sink.files) != 4 || len(sink.complete) != 2 || len(snap.Tenants()) != 3 || !slices.Contains(snap.Tenants(), empty.ID) {
		t.Errorf("files %d, complete %v, tenants %v", len(sink.files), sink.complete, snap.Tenants())
	}
	for _, id := range s.tenants {
		i := slices.IndexFunc(sink.tables[id], func(n backup.Table) bool { return n.Name == "notes" })
		if i < 0 || sink.tables[id][i].Rows != 1 {
			t.Errorf("tables of %s: %v", id, sink.tables[id])
		}
	}
	if !strings.Contains(snap.Position(), "platform.db as of 2") {
		t.Errorf("position %q", snap.Position())
	}
	if left, _ := filepath.Glob(s.dir + "/.backup-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Sessions and leases are in no byte of the copy.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	s := newService(t, 1)
	secret := []byte("kanarienkanarienkanarienkanarien")
	s.raw(t, "platform.db", `INSERT INTO art32_sessions (id, hash, tenant_id, user_id, created_at, last_seen, authenticated_at)
		VALUES ('s', ?, 't', 'u', 1, 1, 1)`, secret)
	s.raw(t, "platform.db", `INSERT INTO art32_leases (name, holder, token, expires_at) VALUES ('canary-lease', 'canary-holder', 1, 1)`)
	sink, snap := snapshot(t, s.source())
	copied := sink.files["platform.db"]
	for _, canary := range []string{string(secret), "canary-lease", "canary-holder"} {
		if bytes.Contains(copied, []byte(canary)) {
			t.Errorf("%s is in the copy", canary)
		}
	}
	if !bytes.Contains(copied, []byte(s.tenants[0].String())) {
		t.Error("the copy is not that of the platform")
	}
	if n := len(snap.Excluded()); n != 2 {
		t.Errorf("%d tables are said to be left out, want 2", n)
	}
}

// A tenant that is made while the others are copied is copied too.
func TestTenantMadeMeanwhile(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	s := newService(t, 1)
	made := 0
	sink, snap := snapshot(t, s.source().OnStep(func(name string) {
		if name == "tenants" && made < 2 {
			made++
			s.tenant(t)
		}
	}))
	for _, id := range s.tenants {
		if sink.files["tenants/"+id.String()+".db"] == nil || !slices.Contains(snap.Tenants(), id) {
			t.Errorf("tenant %s is not in the snapshot", id)
		}
	}
	if len(s.tenants) != 3 || len(sink.tables[tenancy.ID{}]) == 0 {
		t.Error("the test made no tenant, or the platform was not copied")
	}
}

// Writers go on while a file is copied, and the copy is whole.
func TestLiveWriter(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	s := newService(t, 1)
	src := s.source().OnStep(func(name string) {
		if name == "copied" {
			s.note(t, s.tenants[0])
		}
	})
	one, _ := snapshot(t, src)
	two, _ := snapshot(t, src)
	rows := func(c *collected) (n int64) {
		for _, table := range c.tables[s.tenants[0]] {
			if table.Name == "notes" {
				n = table.Rows
			}
		}
		return n
	}
	if rows(one) != 1 || rows(two) != 4 { // tenant, platform and keystore were copied in between
		t.Errorf("%d rows, then %d; want 1 and 4", rows(one), rows(two))
	}
}

func TestSnapshotRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	file := func(s *service, i int) string { return filepath.Join(s.dir, "tenants", s.tenants[i].String()+".db") }
	for name, spoil := range map[string]func(t *testing.T, s *service){
		"a missing file": func(t *testing.T, s *service) { must(t, os.Remove(file(s, 0))) },
		"another tenant's file": func(t *testing.T, s *service) {
			b, err := os.ReadFile(file(s, 0))
			must(t, err)
			must(t, os.WriteFile(file(s, 1), b, 0o600))
		},
		"a damaged file": func(t *testing.T, s *service) {
			b, err := os.ReadFile(file(s, 0))
			must(t, err)
			for i := 4096; i < len(b); i++ {
				b[i] ^= 0x55
			}
			must(t, os.WriteFile(file(s, 0), b, 0o600))
		},
		"a link in place of a file": func(t *testing.T, s *service) {
			must(t, os.Remove(file(s, 0)))
			must(t, os.Symlink(file(s, 1), file(s, 0)))
		},
		"no keystore": func(t *testing.T, s *service) { must(t, os.Remove(filepath.Join(s.keys, "keystore.db"))) },
		"no platform": func(t *testing.T, s *service) { must(t, os.Remove(filepath.Join(s.dir, "platform.db"))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, 2)
			must(t, errors.Join(s.db.Close(), s.store.Close()))
			spoil(t, s)
			snap, err := s.source().Snapshot(t.Context())
			if err == nil {
				err = errors.Join(snap.Write(t.Context(), newSink()), snap.Close())
			}
			if err == nil {
				t.Fatal("accepted")
			}
			if left, _ := filepath.Glob(s.dir + "/.backup-*"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestCopiesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	s := newService(t, 1)
	seen := 0
	snapshot(t, s.source().OnStep(func(name string) {
		if name != "copied" {
			return
		}
		dirs, err := filepath.Glob(s.dir + "/.backup-*")
		must(t, err)
		for _, dir := range dirs {
			must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
				must(t, err)
				st, err := os.Lstat(path)
				must(t, err)
				if seen++; st.Mode().Perm()&0o077 != 0 {
					t.Errorf("%s has mode %v", path, st.Mode())
				}
				return nil
			}))
		}
	}))
	if seen != 6 { // three copies, one at a time, each in the folder
		t.Errorf("%d files and folders seen, want 6", seen)
	}
}

func TestOneSnapshotAtATime(t *testing.T) {
	t.Parallel()
	s := newService(t, 1)
	snap, err := s.source().Snapshot(t.Context())
	must(t, err)
	if _, err := s.source().Snapshot(t.Context()); !errors.Is(err, backup.ErrBusy) {
		t.Errorf("second: %v", err)
	}
	must(t, snap.Close())
	snapshot(t, s.source())
}

// TestMain also is the program that is killed in the middle of a copy.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ART32_DIR"); dir != "" {
		src := sqlitesource.New(dir, &sqlitesource.Options{Keystore: os.Getenv("ART32_KEYS")}).OnStep(func(name string) {
			if name == "copied" {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		})
		snap, err := src.Snapshot(context.Background())
		if err == nil {
			err = snap.Write(context.Background(), newSink())
		}
		fmt.Println(err)
		return
	}
	os.Exit(m.Run())
}

// What a killed run leaves in the directory goes with the next one.
func TestKilledInTheMiddleOfACopy(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	s := newService(t, 1)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "ART32_DIR="+s.dir, "ART32_KEYS="+s.keys)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("not killed: %s", out)
	}
	if left, _ := filepath.Glob(s.dir + "/.backup-*/*.db"); len(left) != 1 {
		t.Fatalf("the killed run left %v: the test kills at the wrong place", left)
	}
	snapshot(t, s.source())
	if left, _ := filepath.Glob(s.dir + "/.backup-*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	s.note(t, s.tenants[0])
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
