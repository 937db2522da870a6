package filesink_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/audit/filesink"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a crash has left, each line is whole, and the file may be renamed between
// two batches.
func TestSend(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	path := filepath.Join(t.TempDir(), "feed.jsonl")
	s, err := filesink.New(path)
	must(t, err)
	send := func(lines string) { t.Helper(); must(t, s.Send(t.Context(), []byte(lines))) }
	want := func(text string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%q, %v; want %q", b, err, text)
		}
	}
	left := func(text string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	send("1\n2\n")
	send("3\n")
	want("1\n2\n3\n")
	for _, c := range [][2]string{{"1\n2\nhal", "1\n2\n"}, {"half", ""}, {"1\n" + strings.Repeat("x", 10000), "1\n"}, {"\n", "\n"}} {
		left(c[0])
		send("4\n")
		want(c[1] + "4\n")
	}
	must(t, os.Rename(path, path+".1"))
	send("5\n")
	want("5\n")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

// What is no file, or lies elsewhere, is not written.
func TestRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "other")
	must(t, os.WriteFile(outside, []byte("other"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	for _, name := range []string{"link", "none/feed.jsonl", "."} {
		s, err := filesink.New(filepath.Join(dir, name))
		must(t, err)
		if err := s.Send(t.Context(), []byte("1\n")); err == nil {
			t.Errorf("wrote to %s", name)
		}
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "other" {
		t.Errorf("%q, %v", b, err)
	}
}
