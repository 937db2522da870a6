package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/tenancy"
)

// TestMain also is the program that the tests of crashes kill.
func TestMain(m *testing.M) {
	if job := os.Getenv("ART32_CHILD"); job != "" {
		child(process{}, job, os.Getenv("ART32_DIR"))
		return
	}
	os.Exit(m.Run())
}

// process is what of a [testing.TB] a world needs, outside a test.
type process struct{ testing.TB }

func (process) Helper() {}

func (process) Cleanup(func()) {}

func (process) Context() context.Context { return context.Background() }

func (process) Fatal(args ...any) {
	fmt.Println(args...)
	os.Exit(1)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// child opens a world that was laid out before, does one job and dies at the
// step that the job names, or prints how it went.
func child(t testing.TB, job, root string) {
	verb, arg, _ := strings.Cut(job, ":")
	w := reopened(t, root)
	step, nth, _ := strings.Cut(arg, "#")
	at, _ := strconv.Atoi(nth)
	kill := func(name string) {
		if name == step {
			if at--; at < 0 {
				die()
			}
		}
	}
	var err error
	switch verb {
	case "run":
		w.vault.OnStep(kill)
		w.job, err = w.newJob(new(backup.Options).OnStep(kill))
		must(t, err)
		_, err = w.job.Run(t.Context())
	case "limit":
		signal.Ignore(syscall.SIGXFSZ)
		limit, _ := strconv.ParseUint(arg, 10, 64)
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}))
		_, err = w.job.Run(t.Context())
	case "erase":
		w.vault.OnStep(kill)
		err = w.vault.Ledger().Erased(t.Context(), w.a, uuidOf(ghost))
	case "forget":
		w.vault.OnStep(kill)
		err = w.vault.Forget(t.Context(), w.a)
	case "restore":
		committed, _ := w.list(t)
		_, err = backup.Restore(t.Context(), w.to, committed[0], &dying{Destination: sqlitesource.Into(filepath.Join(root, "restored"), nil), kill: kill}, w.restoreOptions(t))
	}
	fmt.Println("not killed:", err)
}

const ghost = "5f0c7d0a-9f0e-4b7f-9d53-6f4f9f3a4c11"

// dying is a destination that dies before a method.
type dying struct {
	backup.Destination

	kill func(string)
}

func (d *dying) Loaded(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	d.kill("loaded")
	return d.Destination.Loaded(ctx)
}

func (d *dying) Finish(ctx context.Context) error {
	d.kill("finish")
	return d.Destination.Finish(ctx)
}

// keep writes down what a reopened world needs to know.
func (w *world) keep(tb testing.TB) {
	tb.Helper()
	text := []string{w.a.String(), w.b.String(), w.ops[0].String(), w.ops[1].String()}
	must(tb, os.WriteFile(filepath.Join(w.root, "world"), []byte(strings.Join(text, "\n")), 0o600))
}

// reopened is a world in a folder in which one was laid out.
func reopened(tb testing.TB, root string) *world {
	tb.Helper()
	w := &world{root: root, data: filepath.Join(root, "data"), target: filepath.Join(root, "target"),
		vaults: []string{filepath.Join(root, "vault-a"), filepath.Join(root, "vault-b")}}
	text, err := os.ReadFile(filepath.Join(root, "world"))
	must(tb, err)
	lines := strings.Split(string(text), "\n")
	must(tb, w.a.UnmarshalText([]byte(lines[0])))
	must(tb, w.b.UnmarshalText([]byte(lines[1])))
	for _, line := range lines[2:] {
		id, err := age.ParseX25519Identity(line)
		must(tb, err)
		w.ops = append(w.ops, id)
	}
	w.open(tb)
	return w
}

// inChild does a job on a copy of a world that is closed, in a process of its
// own, and gives the copy, what it printed and whether it was killed.
func inChild(t *testing.T, from, job string) (root, out string, killed bool) {
	t.Helper()
	root = copyDir(t, from)
	out, killed = childIn(t, root, job, nil)
	return root, out, killed
}

// childIn does a job in a process of its own; as is who it is.
func childIn(t *testing.T, root, job string, as *syscall.SysProcAttr) (out string, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe") // which anybody reaches
	cmd.SysProcAttr = as
	cmd.Env = append(os.Environ(), "ART32_CHILD="+job, "ART32_DIR="+root)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	if err != nil && !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("%s: %v\n%s", job, err, both.String())
	}
	return both.String(), err != nil
}
