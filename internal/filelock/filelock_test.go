package filelock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/art32/art32/internal/filelock"
)

// TestMain also is the process that holds a lock until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("ART32_LOCK"); path != "" {
		l, err := filelock.Try(path)
		fmt.Println(l != nil, err)
		select {}
	}
	os.Exit(m.Run())
}

func TestOneHolderInAProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	l, err := filelock.Try(path)
	if l == nil || err != nil {
		t.Fatalf("first: %v, %v", l, err)
	}
	if second, err := filelock.Try(path); second != nil || err != nil {
		t.Errorf("second: %v, %v; want neither", second, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := filelock.Wait(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting: %v, want a deadline", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	l, err = filelock.Wait(t.Context(), path)
	if err != nil {
		t.Fatalf("after the first was given back: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestAKilledProcessHoldsNothing(t *testing.T) {
	t.Parallel()
	if !filelock.Between {
		return
	}
	path := filepath.Join(t.TempDir(), "lock")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "ART32_LOCK="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "true <nil>\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	if l, err := filelock.Try(path); l != nil || err != nil {
		t.Errorf("while the child lives: %v, %v; want neither", l, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	l, err := filelock.Wait(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Unlock()
	_ = cmd.Wait()
}

func TestAPathThatCannotBe(t *testing.T) {
	t.Parallel()
	if l, err := filelock.Try(filepath.Join(t.TempDir(), "missing", "lock")); l != nil || err == nil {
		t.Errorf("got %v, %v; want an error", l, err)
	}
}
