package tenancy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

const envResealChild = "ART32_RESEAL_CHILD"

// resealOrder is what a child is to do, and after how many steps it stays where
// it is.
type resealOrder struct {
	Place tenancytest.Place
	Job   string // "reseal", "destroy", or "full" for a reseal on a disk that fills up
	Step  int
}

// TestKilledResealChild is the process that is killed: at its step it says so and
// stays there. If it comes to its end it says that.
func TestKilledResealChild(t *testing.T) {
	text := os.Getenv(envResealChild)
	if text == "" {
		return
	}
	var o resealOrder
	must(t, json.Unmarshal([]byte(text), &o))
	w := tenancytest.Open(t, club, o.Place, &tenancytest.Options{Migrations: clubMigrations()})
	left, armed := o.Step, false
	step := func(string) {
		if left--; armed && left <= 0 {
			fmt.Println("here")
			select {}
		}
	}
	i := instanceOf(t, w, club, watchStore(w.Store, step))
	db, err := i.watch(club, step)
	must(t, err)
	left, armed = o.Step, o.Job != "full"
	switch o.Job {
	case "reseal":
		_, err = db.Reseal(w.In(t, w.A), nil)
	case "destroy":
		_, err = db.DestroyRetired(w.In(t, w.A))
	default:
		signal.Ignore(syscall.SIGXFSZ)
		must(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(o.Step), Max: uint64(o.Step)}))
		r, err := db.Reseal(w.In(t, w.A), nil)
		fmt.Println(r.Resealed, errors.Is(err, tenancy.ErrUnavailable) || errors.Is(err, tenancy.ErrUnknownOutcome))
		os.Exit(0) // nothing can be written any more
	}
	must(t, err)
	fmt.Println("ended")
}

// child starts the process and returns its first line.
func (w *clubWorld) child(t *testing.T, o resealOrder) (string, error) {
	t.Helper()
	o.Place = w.Place
	text, err := json.Marshal(o)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledResealChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), envResealChild+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return line, err
}

// kill runs a child up to its step and reports whether it was killed there.
func (w *clubWorld) kill(t *testing.T, job string, step int) bool {
	t.Helper()
	line, err := w.child(t, resealOrder{Job: job, Step: step})
	if err != nil || line != "here\n" && line != "ended\n" {
		t.Fatalf("child says %q, %v", line, err)
	}
	return line == "here\n"
}

// TestKilledReseal: wherever a run is killed, everything can be read and found
// meanwhile, no value can come to stand twice, and the next run ends with the
// same result.
func TestKilledReseal(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar")
		must(t, devices.Insert(w.ctx, w.db, &device{Pin: field.New("12 34")}))
		steps := 0
		for step := 1; ; step += killStride {
			w.rotate(t, keyring.SubjectKeys, keyring.IndexKeys, keyring.DataKey)
			killed := w.kill(t, "reseal", step)
			w.whole(t, all)
			w.reseal(t)
			w.whole(t, all)
			if !killed {
				break
			}
			steps++
		}
		if steps < 40/killStride {
			t.Errorf("killed at %d steps only", steps)
		}
	})
}

// TestKilledDestroy: wherever the destruction is killed, all that is there can be
// read, and the next run destroys the rest.
func TestKilledDestroy(t *testing.T) {
	t.Parallel()
	eachClub(t, func(t *testing.T, w *clubWorld) {
		all := w.join(t, "Anton", "Berta", "Cäsar")
		steps := 0
		for step := 1; ; step += killStride {
			w.rotate(t, keyring.KEK, keyring.SubjectKeys, keyring.IndexKeys)
			w.reseal(t)
			w.forget(t)
			killed := w.kill(t, "destroy", step)
			w.whole(t, all)
			if r := w.settled(t); r.Retired != (tenancy.RetiredKeys{}) {
				t.Errorf("step %d: left %+v", step, r.Retired)
			}
			w.whole(t, all)
			if !killed {
				break
			}
			steps++
		}
		if steps < 40/killStride {
			t.Errorf("killed at %d steps only", steps)
		}
	})
}

// TestFullDisk: on a disk that fills up a run ends with an error that says so;
// everything can be read, and with room again the next run goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		t.Attr("art32.measure", "TOM-7.2")
		w := newClub(t, tenancytest.SQLite)
		all := w.join(t, "Anton", "Berta")
		must(t, w.db.In(w.ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			for range 1500 {
				if err := notes.Insert(ctx, tx, &note{Member: all[0].ID, Text: field.New(strings.Repeat("x", 2000))}); err != nil {
					return err
				}
			}
			return nil
		}))
		w.rotate(t, keyring.SubjectKeys)
		line, err := w.child(t, resealOrder{Job: "full", Step: 2 << 20})
		if n := 0; err != nil || !strings.HasSuffix(line, " true\n") {
			t.Errorf("child says %q, %v", line, err)
		} else if _, err := fmt.Sscan(line, &n); err != nil || n == 0 || n >= 1500 {
			t.Errorf("not in the middle: %q", line)
		}
		w.whole(t, all)
		if r := w.reseal(t); r.Resealed == 0 {
			t.Errorf("nothing was left: %+v", r)
		}
		w.whole(t, all)
	})
}

// whole fails unless a fresh instance reads and finds everything, and refuses a
// value that stands.
func (w *clubWorld) whole(t *testing.T, all []member) {
	t.Helper()
	i := instanceOf(t, w.World, club, w.Store)
	for _, m := range all {
		must(t, i.readable(w.ctx, m))
		name, _ := m.Name.Reveal()
		if n, err := i.found(w.ctx, name); n != 1 || err != nil {
			t.Errorf("%s found %d times, %v", name, n, err)
		}
		if err := members.Insert(w.ctx, i.db, &member{Email: field.New(name + "@example.org")}); !errors.Is(err, tenancy.ErrExists) {
			t.Errorf("%s stands twice: %v", name, err)
		}
	}
	for n, err := range notes.List(w.ctx, i.db) {
		must(t, err)
		_, err = n.Text.Reveal()
		must(t, err)
	}
	must(t, i.db.Close())
}
