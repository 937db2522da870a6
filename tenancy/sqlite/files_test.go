package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy/sqlite"
)

func (w world) path(tenant uuid.UUID) string {
	return filepath.Join(w.dir, "tenants", tenant.String()+".db")
}

func TestUnknownTenant(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		id := uuid.New()
		_, err := w.exec(t.Context(), id, "SELECT 1")
		want(t, err, engine.UnknownTenant)
		_, err = w.eng.BeginSQL(t.Context(), engine.Scope{Tenant: id})
		want(t, err, engine.UnknownTenant)
		if files := ls(t, w); len(files) != 0 {
			t.Fatalf("files were made: %v", files)
		}
	})
	t.Run("sqlite/closed", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		id := w.tenant(t)
		w.insert(t, id, 1)
		if _, err := w.exec(t.Context(), uuid.Nil, "UPDATE art32_tenants SET closed_at = $1 WHERE id = $2", time.Now(), id); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(3 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			_, err := w.exec(t.Context(), id, "SELECT 1")
			if kind(err) == engine.UnknownTenant {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("a closed tenant is served: %v", err)
			}
		}
	})
}

func ls(t testing.TB, w world) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.dir, "tenants"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestDamage: each damage to a closed database gives an error that names the
// file, and makes nothing anew.
func TestDamage(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		harm func(t *testing.T, w world, id uuid.UUID)
		text string // with ID for the tenant's
	}{
		"missing":   {func(t *testing.T, w world, id uuid.UUID) { must(t, os.Remove(w.path(id))) }, "tenants/ID.db is missing"},
		"truncated": {func(t *testing.T, w world, id uuid.UUID) { must(t, os.Truncate(w.path(id), 10_000)) }, "tenants/ID.db: the file is shorter"},
		"emptied":   {func(t *testing.T, w world, id uuid.UUID) { must(t, os.Truncate(w.path(id), 0)) }, "tenants/ID.db is not a tenant's file"},
		"stump":     {func(t *testing.T, w world, id uuid.UUID) { must(t, os.Truncate(w.path(id), 50)) }, "tenants/ID.db: the file is damaged"},
		"header":    {func(t *testing.T, w world, id uuid.UUID) { flip(t, w.path(id), 3) }, "tenants/ID.db: the file is damaged"},
		"schema":    {func(t *testing.T, w world, id uuid.UUID) { flip(t, w.path(id), 100) }, "tenants/ID.db: the file is damaged"},
		"foreign": {func(t *testing.T, w world, id uuid.UUID) {
			other := w.tenant(t)
			w.insert(t, other, 1)
			must(t, w.eng.Close())
			copyFile(t, w.path(other), w.path(id))
		}, "tenants/ID.db holds the data of another tenant"},
		"readable": {func(t *testing.T, w world, id uuid.UUID) { must(t, os.Chmod(w.path(id), 0o644)) }, "tenants/ID.db is open to other users: chmod 600"},
		"link": {func(t *testing.T, w world, id uuid.UUID) {
			must(t, os.Rename(w.path(id), w.dir+"/x"))
			must(t, os.Symlink(w.dir+"/x", w.path(id)))
		}, "tenants/ID.db is no regular file"},
		"directory":        {func(t *testing.T, w world, _ uuid.UUID) { must(t, os.Chmod(w.dir, 0o755)) }, "chmod 700"},
		"platform missing": {func(t *testing.T, w world, _ uuid.UUID) { must(t, os.Remove(w.dir+"/platform.db")) }, "platform.db is missing"},
		"platform emptied": {func(t *testing.T, w world, _ uuid.UUID) { must(t, os.Truncate(w.dir+"/platform.db", 0)) }, "platform.db is missing or empty"},
		"platform cut":     {func(t *testing.T, w world, _ uuid.UUID) { must(t, os.Truncate(w.dir+"/platform.db", 5000)) }, "platform.db: the file is shorter"},
		"platform header":  {func(t *testing.T, w world, _ uuid.UUID) { flip(t, w.dir+"/platform.db", 3) }, "platform.db: the file is damaged"},
		"platform is a dir": {func(t *testing.T, w world, _ uuid.UUID) {
			must(t, os.Remove(w.dir+"/platform.db"))
			must(t, os.Mkdir(w.dir+"/platform.db", 0o700))
		}, "platform.db"},
	}
	for name, c := range cases {
		t.Run("sqlite/"+name, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil)
			id := w.tenant(t)
			w.insert(t, id, 1)
			if name == "foreign" {
				c.harm(t, w, id)
			} else {
				must(t, w.eng.Close())
				c.harm(t, w, id)
			}
			err := use(t, w.dir, id)
			if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.text, "ID", id.String())) {
				t.Fatalf("%v, want %q", err, c.text)
			}
			if name == "missing" && len(ls(t, w)) != 0 {
				t.Fatalf("made anew: %v", ls(t, w))
			}
		})
	}
}

// use opens the database, reads and writes.
func use(t testing.TB, dir string, id uuid.UUID) error {
	w, err := tryOpen(t.Context(), dir, nil)
	if err != nil {
		return err
	}
	defer w.eng.Close()
	if _, err := w.exec(t.Context(), id, "SELECT * FROM things"); err != nil {
		return err
	}
	_, err = w.exec(t.Context(), id, insertThing, uuid.New(), id, 950)
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	must(t, err)
	b[0] ^= 0x40
	_, err = f.WriteAt(b, at)
	must(t, err)
}

// TestTorn: a file that was not closed is checked page by page.
func TestTorn(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		id := w.tenant(t)
		for n := range 900 {
			w.insert(t, id, n)
		}
		must(t, w.eng.(interface {
			Scrub(ctx context.Context, tenant uuid.UUID) error
		}).Scrub(t.Context(), id))
		w.insert(t, id, 901)
		crashed := filepath.Join(t.TempDir(), "crashed") // as a crash leaves it
		must(t, os.CopyFS(crashed, os.DirFS(w.dir)))
		tighten(t, crashed)
		if err := use(t, crashed, id); err != nil {
			t.Fatalf("what is sound does not open: %v", err)
		}
		must(t, os.RemoveAll(crashed))
		must(t, os.CopyFS(crashed, os.DirFS(w.dir)))
		tighten(t, crashed)
		path := filepath.Join(crashed, "tenants", id.String()+".db")
		st, err := os.Stat(path)
		must(t, err)
		for at := int64(4096 * 12); at < st.Size(); at += 4096 {
			flip(t, path, at+3) // the number of cells of the page
		}
		x, err := tryOpen(t.Context(), crashed, nil)
		must(t, err)
		defer x.eng.Close()
		_, err = x.exec(t.Context(), id, "SELECT 1")
		if err == nil || !strings.Contains(err.Error(), id.String()+".db: the file is damaged") {
			t.Fatal(err)
		}
	})
}

func tighten(t testing.TB, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	}))
}

func TestModes(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", measure)
		w := open(t, nil)
		w.insert(t, w.tenant(t), 1)
		must(t, filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st, err := e.Info()
			if err == nil && st.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, st.Mode())
			}
			return err
		}))
	})
}

// TestLRU: transactions stay open while many other tenants come and go.
func TestLRU(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		const limit, tenants = 3, 12
		w := open(t, &sqlite.Options{MaxOpen: limit})
		ids := make([]uuid.UUID, tenants)
		for i := range ids {
			ids[i] = w.tenant(t)
		}
		long := begin(t, w, ids[0])
		_, err := long.Run(t.Context(), thing(ids[0], 500), engine.Continue, nil)
		must(t, err)
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				for i := range 60 {
					id := ids[1+(i*7+g*5)%(tenants-1)]
					if _, err := w.exec(t.Context(), id, insertThing, uuid.New(), id, g*100+i); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if !sqlite.IsOpen(w.eng, ids[0]) {
			t.Error("a file in use was closed")
		}
		must(t, long.Commit(t.Context()))
		if n := sqlite.OpenFiles(w.eng); n > limit {
			t.Errorf("%d files are open", n)
		}
		sum := 0
		for _, id := range ids {
			sum += things(t, w, id)
		}
		if sum != 6*60+1 {
			t.Errorf("%d things", sum)
		}
	})
}

// TestCrash kills the process between the steps of making a tenant's file.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"begun", "migrated", "built", "synced", "renamed", "recorded"} {
		t.Run("sqlite/"+step, func(t *testing.T) {
			t.Parallel()
			w := open(t, nil)
			id := w.tenant(t)
			must(t, w.eng.Close())
			out, err := command(t, "create:"+step, w.dir, id).Output()
			if err == nil {
				t.Fatalf("the child was not killed: %s", out)
			}
			_, err = os.Lstat(w.path(id))
			if placed := err == nil; placed != (step == "renamed" || step == "recorded") {
				t.Fatalf("file in place: %v", placed)
			}
			w = openAt(t, w.dir, nil)
			if n := things(t, w, id); n != 0 {
				t.Fatalf("%d things", n)
			}
			w.insert(t, id, 1)
			if n := one[int](t, w, uuid.Nil, "SELECT count(*) FROM art32_files"); n != 1 {
				t.Fatalf("%d records", n)
			}
		})
	}
	t.Run("sqlite/write", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		id := w.tenant(t)
		must(t, w.eng.Close())
		for round := range 3 {
			last := killAfter(t, 10+round, command(t, "write", w.dir, id))
			acked, err := strconv.Atoi(last)
			if err != nil {
				t.Fatalf("the child said %q", last)
			}
			w = openAt(t, w.dir, nil)
			got := one[int](t, w, id, "SELECT count(*) FROM counted WHERE n >= 1000")
			if got%2 != 0 || got < acked+2 || got > acked+4 {
				t.Fatalf("%d rows, %d were acknowledged", got, acked+2)
			}
			_, err = w.exec(t.Context(), id, "DELETE FROM counted WHERE n >= 1000")
			must(t, err)
			must(t, w.eng.Close())
		}
	})
}

// TestSweep: the drafts of a process that is gone are removed in the end.
func TestSweep(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		must(t, w.eng.Close())
		old, fresh := w.dir+"/tenants/.new-a.db", w.dir+"/tenants/.new-b.db"
		must(t, os.WriteFile(old, nil, 0o600))
		must(t, os.WriteFile(fresh, nil, 0o600))
		must(t, os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)))
		w = openAt(t, w.dir, nil)
		if got := fmt.Sprint(ls(t, w)); got != "[.new-b.db]" {
			t.Fatal(got)
		}
	})
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		id := w.tenant(t)
		w.insert(t, id, 1)
		must(t, w.eng.Close())
		for dir := filepath.Dir(w.dir); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
			must(t, os.Chmod(dir, 0o711))
		}
		must(t, filepath.WalkDir(w.dir, func(path string, e os.DirEntry, err error) error {
			if os.Getuid() == 0 {
				must(t, os.Chown(path, nobodyID, nobodyID))
			}
			if e.IsDir() {
				t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
				return err
			}
			return os.Chmod(path, 0o400)
		}))
		must(t, os.Chmod(w.dir+"/tenants", 0o500))
		must(t, os.Chmod(w.dir, 0o500))
		line := lastLine(t, "readonly", w.dir, id)
		if !strings.HasPrefix(line, strconv.Itoa(int(engine.Unavailable))+" ") || !strings.Contains(line, "platform.db") {
			t.Fatal(line)
		}
	})
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("sqlite/tmpfs", func(t *testing.T) {
		t.Parallel()
		disk := filepath.Join(t.TempDir(), "disk")
		must(t, os.Mkdir(disk, 0o700))
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
			t.Logf("no file system of our own (%v): the limit of a file's size stands in, see sqlite/limit", err)
			return
		}
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
		w := openAt(t, filepath.Join(disk, "data"), nil)
		id, late := w.tenant(t), w.tenant(t)
		w.insert(t, id, 1)
		must(t, os.WriteFile(disk+"/reserve", make([]byte, 1<<20), 0o600))
		err := fill(t.Context(), w, id)
		want(t, err, engine.Unavailable)
		if !strings.Contains(err.Error(), id.String()+".db: database or disk is full") {
			t.Error(err)
		}
		must(t, os.WriteFile(disk+"/rest", nil, 0o600))
		for f, err := os.OpenFile(disk+"/rest", os.O_WRONLY, 0); err == nil; {
			if _, err = f.Write(make([]byte, 1024)); err != nil {
				must(t, f.Close())
				break
			}
		}
		_, err = w.exec(t.Context(), late, "SELECT 1")
		want(t, err, engine.Unavailable)
		if files := ls(t, w); strings.Contains(fmt.Sprint(files), late.String()) || strings.Contains(fmt.Sprint(files), ".new-") {
			t.Errorf("left behind: %v", files)
		}
		must(t, os.Remove(disk+"/reserve"))
		if n := one[int](t, w, id, "SELECT count(*) FROM things WHERE n = 1"); n != 1 {
			t.Error("a committed row is gone")
		}
		if _, err := w.exec(t.Context(), late, "SELECT 1"); err != nil {
			t.Errorf("with room again: %v", err)
		}
	})
	t.Run("sqlite/limit", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		id := w.tenant(t)
		w.insert(t, id, 1)
		must(t, w.eng.Close())
		line := lastLine(t, "limit", w.dir, id)
		code, text, _ := strings.Cut(line, " ")
		if k, _ := strconv.Atoi(code); engine.Kind(k) != engine.Unavailable && engine.Kind(k) != engine.Unknown || !strings.Contains(text, id.String()) {
			t.Fatal(line)
		}
		if err := use(t, w.dir, id); err != nil {
			t.Fatal(err)
		}
	})
}

// TestMigrateLater: a tenant's file is brought up to date when it is next
// opened; an edited or a newer state is refused.
func TestMigrateLater(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		first := fstest.MapFS{"0001_a.sql": {Data: []byte("CREATE TABLE a (b);")}}
		both := fstest.MapFS{"0001_a.sql": first["0001_a.sql"], "0002_c.sql": {Data: []byte("ALTER TABLE a ADD COLUMN c;\nCREATE INDEX i ON a (c);")}}
		w := open(t, &sqlite.Options{Migrations: first})
		id := w.tenant(t)
		_, err := w.exec(t.Context(), id, "INSERT INTO a VALUES (1)")
		must(t, err)
		must(t, w.eng.Close())
		w = openAt(t, w.dir, &sqlite.Options{Migrations: both})
		_, err = w.exec(t.Context(), id, "UPDATE a SET c = b")
		must(t, err)
		must(t, w.eng.Close())
		w = openAt(t, w.dir, &sqlite.Options{Migrations: first})
		_, err = w.exec(t.Context(), id, "SELECT 1")
		if err == nil || !strings.Contains(err.Error(), migrate.ErrNewer.Error()) {
			t.Fatal(err)
		}
		w = openAt(t, w.dir, &sqlite.Options{Migrations: fstest.MapFS{"0001_a.sql": {Data: []byte("CREATE TABLE a (x);")}, "0002_c.sql": both["0002_c.sql"]}})
		_, err = w.exec(t.Context(), id, "SELECT 1")
		if err == nil || !strings.Contains(err.Error(), migrate.ErrChanged.Error()) {
			t.Fatal(err)
		}
	})
}

// TestScrub: what was deleted is in no file afterwards, and a reader delays it.
func TestScrub(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w := open(t, nil)
		id := w.tenant(t)
		const canary = "canary-5f1c-of-a-person"
		for n := range 30 {
			_, err := w.exec(t.Context(), id, "INSERT INTO things (id, tenant_id, n, data) VALUES ($1, $2, $3, $4)", uuid.New(), id, n, strings.Repeat(canary, 1+n*40))
			must(t, err)
		}
		_, err := w.exec(t.Context(), id, "INSERT INTO notes (body) VALUES ($1)", canary)
		must(t, err)
		reader := begin(t, w, id)
		scrub := w.eng.(interface {
			Scrub(ctx context.Context, tenant uuid.UUID) error
		}).Scrub
		_, err = w.exec(t.Context(), id, "DELETE FROM things")
		must(t, err)
		_, err = w.exec(t.Context(), id, "DELETE FROM notes")
		must(t, err)
		_, err = w.exec(t.Context(), id, "INSERT INTO notes (notes) VALUES ('optimize')")
		must(t, err)
		if !holds(t, w.dir, canary) {
			t.Fatal("the test proves nothing: the canary was not in the log")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err = reader.Run(t.Context(), engine.Stmt{SQL: "SELECT 1 FROM counted"}, engine.Continue, func(engine.Row) error {
			if err := scrub(ctx, id); err == nil {
				t.Error("emptied under a writer")
			}
			return nil
		})
		must(t, err)
		must(t, reader.Rollback(t.Context()))
		must(t, scrub(t.Context(), id))
		if holds(t, w.dir, canary) {
			t.Error("the canary is still in a file")
		}
		must(t, scrub(t.Context(), uuid.Nil))
	})
}

func holds(t testing.TB, dir, text string) (found bool) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || strings.Contains(string(b), text)
		return err
	}))
	return found
}
