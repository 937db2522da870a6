//go:build soak

package keyring_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

// TestMillion reads a million keys through a cache of the default size, copies
// and restores them, gives each a successor and destroys the old versions.
func TestMillion(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	const people, page = 1_000_000, 10_000
	ctx, root, db := t.Context(), newRoot(t), openSQLite(t)
	store := keyring.SQLStore(db, migrate.SQLite)
	setup := newRing(t, root, store, &keyring.Options{MaxKeys: 1})
	noError(t, setup.CreateTenant(ctx, acme))
	ids := subjects(people)
	start := time.Now()
	for i := 0; i < people; i += page {
		value(setup.CreateCiphers(ctx, acme, ids[i:i+page]))(t)
	}
	t.Logf("created: %v", time.Since(start))

	r := newRing(t, root, store, nil)
	before, start := memoryInUse(), time.Now()
	for i := 0; i < people; i += page {
		if got := value(r.Ciphers(ctx, acme, ids[i:i+page]))(t); len(got) != page {
			t.Fatalf("%d keys", len(got))
		}
	}
	t.Logf("read: %v", time.Since(start))
	const size = 16384
	if n := keyring.Cached(r); n > size {
		t.Errorf("%d keys cached", n)
	}
	if grown := memoryInUse() - before; grown > size*2<<10 {
		t.Errorf("the cache holds %d bytes", grown)
	} else {
		t.Logf("cache: %d bytes", grown)
	}
	start = time.Now()
	keyring.DropTenant(r, acme)
	if took := time.Since(start); took > time.Second {
		t.Errorf("dropping a tenant took %v", took)
	}

	path := filepath.Join(t.TempDir(), "copy.jsonl")
	f := value(os.Create(path))(t)
	defer f.Close()
	before, start = memoryInUse(), time.Now()
	contents := value(r.WriteCopy(ctx, f))(t)
	t.Logf("copied %d records: %v, %d bytes", contents.Records, time.Since(start), value(f.Stat())(t).Size())
	value(f.Seek(0, io.SeekStart))(t)
	start = time.Now()
	other := newRing(t, root, keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
	if done := value(other.RestoreCopy(ctx, f))(t); done.Added != people+4 {
		t.Errorf("%+v", done)
	}
	t.Logf("restored: %v", time.Since(start))
	if grown := memoryInUse() - before; grown > 16<<20 {
		t.Errorf("copying and restoring left %d bytes", grown)
	}
	value(other.Ciphers(ctx, acme, ids[people-page:]))(t)
	runtime.KeepAlive(r)

	rotates := newRing(t, root, store, &keyring.Options{TTL: time.Second, Grace: time.Second})
	start = time.Now()
	if done := value(rotates.Rotate(ctx, acme, keyring.SubjectKeys, start, nil))(t); done.Introduced != people || done.Retired != people || done.Left != 0 {
		t.Errorf("%+v", done)
	}
	t.Logf("rotated: %v", time.Since(start))
	var list []keyring.Version
	for v, err := range rotates.Retired(ctx, acme) {
		noError(t, err)
		list = append(list, v)
	}
	time.Sleep(time.Second) // the grace of the last
	start = time.Now()
	noError(t, rotates.Destroy(ctx, acme, list...))
	t.Logf("destroyed: %v", time.Since(start))
}

// memoryInUse is what the heap holds.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const (
	childFolder = "ART32_TEST_COPIES" // where the child keeps copies
	childKeys   = "ART32_TEST_KEYS"   // its keystore
)

// TestKeepCopyKilled kills a process that keeps copies, at moments spread over
// its work: each file that has a name of a copy is whole.
func TestKeepCopyKilled(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	if dir := os.Getenv(childFolder); dir != "" {
		keepForEver(t, dir)
		return
	}
	base := t.TempDir()
	keys := filepath.Join(base, "keys.db")
	k := newKeystore(t, keptRoot(t), openFile(t, keys), migrate.SQLite)
	value(k.ring.CreateCiphers(t.Context(), acme, subjects(5000)))(t)
	dir := filepath.Join(base, "copies")
	whole := 0
	for i := range 60 {
		cmd := exec.CommandContext(t.Context(), value(os.Executable())(t), "-test.run=^TestKeepCopyKilled$")
		cmd.Env = append(os.Environ(), childFolder+"="+dir, childKeys+"="+keys)
		noError(t, cmd.Start())
		time.Sleep(time.Duration(20+7*i) * time.Millisecond)
		noError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		files, err := keyring.CopyFiles(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, f := range files {
			text := value(os.ReadFile(f.Path))(t)
			if err := second(k.ring.CheckCopy(t.Context(), bytes.NewReader(text))); err != nil {
				t.Errorf("%s: %v", f.Path, err)
			}
			whole++
			noError(t, os.Remove(f.Path))
		}
	}
	if whole == 0 {
		t.Error("no child came as far as a copy")
	}
	value(k.ring.KeepCopy(t.Context(), dir, nil))(t)
	if names := value(os.ReadDir(dir))(t); len(names) != 2 { // copy and lock
		t.Errorf("left in the folder: %v", names)
	}
}

func keepForEver(t *testing.T, dir string) {
	t.Helper()
	db := open(t, "sqlite", "file:"+os.Getenv(childKeys)+"?_pragma=busy_timeout(5000)")
	r := newRing(t, keptRoot(t), keyring.SQLStore(db, migrate.SQLite), nil)
	for {
		value(r.KeepCopy(t.Context(), dir, nil))(t)
	}
}
