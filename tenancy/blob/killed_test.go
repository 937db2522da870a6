package blob_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/blob/dirstore"
	"github.com/art32/art32/tenancy/tenancytest"
)

// TestMain also is the program that the tests of crashes kill.
func TestMain(m *testing.M) {
	if job := os.Getenv("ART32_CHILD"); job != "" {
		child(job)
		return
	}
	os.Exit(m.Run())
}

// process is what of a [testing.TB] a world needs, outside a test.
type process struct{ testing.TB }

func (process) Helper() {}

func (process) Cleanup(func()) {}

func (process) Context() context.Context { return context.Background() }

func (process) Fatalf(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

// job is what a child does until the step that kills it: to put a content, or to
// delete that of a row.
type job struct {
	Place tenancytest.Place
	Dir   string
	Row   uuid.UUID // to be deleted
	Step  string
}

func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// deadly is a place that kills at a step.
type deadly struct {
	blob.Place

	step string
}

func (d deadly) Put(ctx context.Context, name string, r io.Reader) error {
	if d.step == "reading" {
		r = io.MultiReader(io.LimitReader(r, 100_000), killer{})
	}
	err := d.Place.Put(ctx, name, r)
	if d.step == "stored" {
		kill()
	}
	return err
}

func (d deadly) Remove(ctx context.Context, name string) error {
	if d.step == "deleted" {
		kill()
	}
	if err := d.Place.Remove(ctx, name); err != nil {
		return err
	}
	kill()
	return nil
}

type killer struct{}

func (killer) Read([]byte) (int, error) { kill(); return 0, io.EOF }

func child(text string) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		panic(err)
	}
	w := tenancytest.Open(process{}, schema, j.Place, &tenancytest.Options{Engine: j.Place.Engine, Migrations: migrations})
	place, err := dirstore.Open(j.Dir)
	if err != nil {
		panic(err)
	}
	store, err := blob.New(attachments, contentOf, deadly{place, j.Step}, nil)
	if err != nil {
		panic(err)
	}
	ctx := tenancy.WithActor(tenancy.WithTenant(context.Background(), w.A), tenancy.MustService("child"))
	if j.Row != uuid.Nil {
		err = store.Delete(ctx, w.DB, j.Row)
	} else {
		err = store.Put(ctx, w.DB, &attachment{Customer: uuid.New()}, bytes.NewReader(random(300_000)))
	}
	fmt.Println("not killed:", err)
}

// kill runs a job in a process of its own, which must die at its step.
func (j job) kill(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(j)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), "ART32_CHILD="+string(text))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err = cmd.Run(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("not killed at %s: %v\n%s", j.Step, err, out.String())
	}
}

// Wherever a process is killed, each row has its content, no row that was deleted is
// back, and Sweep removes what is left.
func TestKilled(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	each(t, func(t *testing.T, w *world) {
		ctx := w.In(t, w.A)
		for _, step := range []struct {
			name      string
			rows      int // afterwards, of 2
			left      int // objects without a row
			ofADelete bool
		}{
			{"reading", 2, 1, false}, {"stored", 2, 1, false}, {"deleted", 1, 1, true}, {"removed", 1, 0, true},
		} {
			a, b := w.put(t, w.A, []byte("a")), w.put(t, w.A, []byte("b"))
			j := job{Place: w.Place, Dir: w.dir, Step: step.name}
			if step.ofADelete {
				j.Row = b.ID
			}
			j.kill(t)
			after := *w
			after.World = w.Reopen(t)
			rows := 0
			for row, err := range attachments.List(ctx, after.DB) {
				must(t, err)
				rows++
				if _, err := after.read(ctx, row.ID); err != nil {
					t.Errorf("%s: a row without its content: %v", step.name, err)
				}
			}
			if n, err := after.store.Sweep(ctx, after.DB); n != 0 || err != nil {
				t.Errorf("%s: a young object was swept: %d, %v", step.name, n, err)
			}
			store := newStore(t, w.place, nil)
			store.SetGrace(0)
			n, err := store.Sweep(ctx, after.DB)
			if rows != step.rows || n != step.left || err != nil || len(w.files(t)) != rows {
				t.Errorf("%s: %d rows, %d swept, %v, left %v", step.name, rows, n, err, w.files(t))
			}
			must(t, w.store.Delete(ctx, after.DB, a.ID))
			if !step.ofADelete {
				must(t, w.store.Delete(ctx, after.DB, b.ID))
			}
			after.Verify(t)
		}
	})
}
