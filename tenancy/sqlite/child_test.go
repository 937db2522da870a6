package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy/sqlite"
)

// TestMain also is the program that the tests of crashes kill.
func TestMain(m *testing.M) {
	if job := os.Getenv("ART32_CHILD"); job != "" {
		child(job, os.Getenv("ART32_DIR"), uuid.MustParse(os.Getenv("ART32_TENANT")))
		return
	}
	os.Exit(m.Run())
}

// child does one job in a process of its own and says how it went.
func child(job, dir string, tenant uuid.UUID) {
	ctx := context.Background()
	name, arg, _ := strings.Cut(job, ":")
	switch name {
	case "create":
		o := &sqlite.Options{}
		o.OnStep(func(step string) {
			if step == arg {
				die()
			}
		})
		w, err := tryOpen(ctx, dir, o)
		if err == nil {
			_, err = w.exec(ctx, tenant, insertThing, uuid.New(), tenant, 1)
		}
		fmt.Println("not killed:", err)
	case "write":
		w, err := tryOpen(ctx, dir, nil)
		for n := 0; err == nil; n += 2 {
			if err = pair(ctx, w, tenant, n); err == nil {
				fmt.Println(n)
			}
		}
		fmt.Println("error:", err)
	case "many":
		many(ctx, dir, arg)
	case "readonly":
		_ = syscall.Setgid(nobodyID)
		_ = syscall.Setuid(nobodyID)
		w, err := tryOpen(ctx, dir, nil)
		if err == nil {
			_, err = w.exec(ctx, tenant, insertThing, uuid.New(), tenant, 2)
		}
		fmt.Printf("%d %v\n", kind(err), err)
	case "limit":
		signal.Ignore(syscall.SIGXFSZ)
		_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20})
		w, err := tryOpen(ctx, dir, nil)
		if err == nil {
			err = fill(ctx, w, tenant)
		}
		fmt.Printf("%d %v\n", kind(err), err)
	}
}

const nobodyID = 65534

// pair writes two rows in one transaction.
func pair(ctx context.Context, w world, tenant uuid.UUID, n int) error {
	tx, err := w.eng.Begin(ctx, engine.Scope{Tenant: tenant})
	if err != nil {
		return err
	}
	put := "INSERT INTO counted (n) VALUES ($1)"
	tx.Queue(engine.Stmt{SQL: put, Args: []any{1000 + n}, Rows: 1})
	_, err = tx.Run(ctx, engine.Stmt{SQL: put, Args: []any{1001 + n}, Rows: 1}, engine.Commit, nil)
	return err
}

// fill writes until the disk is full.
func fill(ctx context.Context, w world, tenant uuid.UUID) error {
	for {
		_, err := w.exec(ctx, tenant, "INSERT INTO things (id, tenant_id, data) VALUES ($1, $2, $3)", uuid.New(), tenant, make([]byte, 100<<10))
		if err != nil {
			return err
		}
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func command(t testing.TB, job, dir string, tenant uuid.UUID) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "ART32_CHILD="+job, "ART32_DIR="+dir, "ART32_TENANT="+tenant.String())
	cmd.Stderr = os.Stderr
	return cmd
}

// lastLine runs a child to its end.
func lastLine(t testing.TB, job, dir string, tenant uuid.UUID) string {
	t.Helper()
	out, err := command(t, job, dir, tenant).Output()
	if err != nil {
		t.Fatalf("%s: %v %s", job, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// killAfter lets a child print some lines, kills it and returns the last line.
func killAfter(t testing.TB, lines int, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for s := bufio.NewScanner(out); s.Scan(); lines-- {
		last = s.Text()
		if lines == 0 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return last
}
