package dirplace_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/dirplace"
)

const origin = "art32.audit/0d6a1f0e-6a4b-4b62-9f0e-5d3a8c9be0a1"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T) (*dirplace.Place, string) {
	t.Helper()
	dir := t.TempDir()
	p, err := dirplace.Open("vault", dir)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p, dir
}

func head(size int64, text string) *audit.Head {
	return &audit.Head{Checkpoint: audit.Checkpoint{Origin: origin, Size: size}, Note: []byte(text)}
}

// The greatest size is the newest, whatever the order in which heads came and
// whatever lies beside them.
func TestNewest(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	p, dir := open(t)
	if held, err := p.Held(t.Context(), origin); err != nil || held != nil {
		t.Errorf("an empty folder holds %q, %v", held, err)
	}
	for _, h := range []*audit.Head{head(9, "nine"), head(1000, "thousand"), head(10, "ten")} {
		lines, err := p.Put(t.Context(), h)
		must(t, err)
		if lines != nil {
			t.Errorf("a folder cosigns: %v", lines)
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, origin, "99999999999999999999.part"), []byte("half"), 0o600))
	held, err := p.Held(t.Context(), origin)
	if err != nil || string(held) != "thousand" {
		t.Errorf("held %q, %v", held, err)
	}
}

// What is held is never written over.
func TestKeeps(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	p, _ := open(t)
	_, err := p.Put(t.Context(), head(9, "first"))
	must(t, err)
	if _, err := p.Put(t.Context(), head(9, "second")); err == nil {
		t.Error("a head took the place of another")
	}
	held, err := p.Held(t.Context(), origin)
	if err != nil || string(held) != "first" {
		t.Errorf("held %q, %v", held, err)
	}
}

// Nothing outside the folder is read or written; a pipe or link in the place of a head
// is an error and not an empty folder.
func TestStaysInside(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	p, dir := open(t)
	for _, bad := range []string{"", "..", "../x", "art32.audit/../../x", "other/0d6a1f0e-6a4b-4b62-9f0e-5d3a8c9be0a1"} {
		if _, err := p.Held(t.Context(), bad); err == nil {
			t.Errorf("asked for %q", bad)
		}
		h := head(1, "x")
		h.Origin = bad
		if _, err := p.Put(t.Context(), h); err == nil {
			t.Errorf("put to %q", bad)
		}
	}
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("secret"), 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, origin), 0o700))
	must(t, os.Symlink(outside, filepath.Join(dir, origin, strings.Repeat("0", 19)+"7")))
	if held, err := p.Held(t.Context(), origin); err == nil {
		t.Errorf("followed a link: %q", held)
	}
}

// A disk that is gone does not look like one that holds nothing.
func TestMissing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	if _, err := dirplace.Open("vault", filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("made a folder")
	}
	p, dir := open(t)
	must(t, os.Remove(dir))
	if _, err := p.Held(t.Context(), origin); err == nil {
		t.Error("a folder that is gone holds nothing")
	}
	if _, err := p.Put(t.Context(), head(1, "x")); err == nil {
		t.Error("put into a folder that is gone")
	}
}
