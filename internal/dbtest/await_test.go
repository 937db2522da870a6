//go:build unix

package dbtest_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/internal/dbtest"
)

// sharedFolder returns a new folder in which every user may write, which
// t.TempDir does not give.
func sharedFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "art32-dbtest-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	return folder
}

// slowPrograms returns a folder of PostgreSQL programs whose server makes the
// file started, and then takes a second before it hears a signal.
func slowPrograms(t *testing.T, started string) string {
	t.Helper()
	programs, err := dbtest.Programs()
	if err != nil {
		t.Fatal(err)
	}
	folder := sharedFolder(t)
	t.Cleanup(func() { _ = os.Remove(started) })
	if err := os.Symlink(filepath.Join(programs, "initdb"), filepath.Join(folder, "initdb")); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\n: >" + started + "\nsleep 1\nexec " + filepath.Join(programs, "postgres") + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(folder, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func kill(t *testing.T, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // says that it was killed
}

// await waits for less than the minute after which a server whose folder is gone
// ends by itself.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func isEmpty(t *testing.T, folder string) bool {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 0
}

// inUse reports whether a process names the folder in its command line.
func inUse(t *testing.T, folder string) bool {
	t.Helper()
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is a constant
	for _, process := range processes {
		line, err := os.ReadFile(process)
		if err == nil && strings.Contains(string(line), folder) { // an error means that it has ended
			return true
		}
	}
	if len(processes) > 0 {
		return false
	}
	out, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "args").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), folder)
}

// lockedBuffer takes what a child writes while the test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

var _ io.Writer = (*lockedBuffer)(nil)

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
