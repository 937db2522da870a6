package tenancy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
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

// job is what a child does: the erasure of a tenant, or of a person in it, until
// the step that kills it.
type job struct {
	Place   tenancytest.Place
	Tenant  tenancy.ID
	Subject uuid.UUID
	Step    string // with "#n" the one of that number, from 0
}

func child(text string) {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		panic(err)
	}
	w := tenancytest.Open(process{}, office, j.Place, officeOptions(j.Place.Engine, nil))
	step, nth, _ := strings.Cut(j.Step, "#")
	at, _ := strconv.Atoi(nth)
	w.DB.ClearPage(2)
	w.DB.OnStep(func(name string) {
		if name == step {
			if at--; at < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	})
	ctx := tenancy.WithActor(tenancy.WithTenant(context.Background(), j.Tenant), tenancy.MustService("child"))
	var err error
	if j.Subject == uuid.Nil {
		err = w.DB.EraseTenant(ctx)
	} else {
		err = w.DB.Erase(ctx, j.Subject)
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

// TestKilledErase: wherever an erasure is killed, a key that is gone stays gone,
// whoever is cleared is cleared whole, no record is issued before the end, and the
// next call finishes it.
func TestKilledErase(t *testing.T) {
	t.Parallel()
	steps := []string{"told", "shredded", "alone", "queued", "cleared", "scrubbed"}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := newOffice(t, engine, nil)
			ctx := w.In(t, w.A)
			people := fillOffice(ctx, t, w.DB, len(steps))
			for i, step := range steps {
				t.Run(step, func(t *testing.T) {
					job{Place: w.Place, Tenant: w.A, Subject: people[i], Step: step}.kill(t)
					after := w.Reopen(t)
					p, err := persons.Get(ctx, after.DB, people[i])
					must(t, err)
					_, err = p.Name.Reveal()
					if gone := errors.Is(err, field.ErrErased); gone != (step != "told") {
						t.Errorf("Reveal: %v", err)
					}
					if step == "shredded" || step == "alone" || step == "queued" {
						err := persons.Insert(ctx, after.DB, &person{ID: people[i], Name: field.New("again")})
						if !errors.Is(err, tenancy.ErrErased) {
							t.Errorf("a key came back: %v", err)
						}
					}
					cleared := step == "cleared" || step == "scrubbed"
					if (p.City == "") != cleared {
						t.Errorf("city %q", p.City)
					}
					if _, err := after.DB.ErasureRecord(ctx, people[i]); cleared != (err == nil) || !cleared && !errors.Is(err, tenancy.ErrNotErased) {
						t.Errorf("the record: %v", err)
					}
					must(t, after.DB.Erase(ctx, people[i]))
					checkErased(ctx, t, after.DB, people[i])
				})
			}
			_, err := w.Sealer.SealDue(t.Context())
			must(t, err)
		})
	}
}

func checkErased(ctx context.Context, t *testing.T, db *tenancy.DB, subject uuid.UUID) {
	t.Helper()
	p, err := persons.Get(ctx, db, subject)
	must(t, err)
	if _, err := p.Name.Reveal(); !errors.Is(err, field.ErrErased) || p.City != "" || p.Plan != "free" {
		t.Errorf("after the erasure: %v, city %q, plan %q", err, p.City, p.Plan)
	}
	if _, err := db.ErasureRecord(ctx, subject); err != nil {
		t.Errorf("the record: %v", err)
	}
}

// TestKilledEraseTenant: the same for a tenant.
func TestKilledEraseTenant(t *testing.T) {
	t.Parallel()
	steps := []string{
		"told", "shredded", "closed", "marked", "page", "page#1", "page#2", "cleared", "log page", "emptied", "scrubbed", "finished",
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := newOffice(t, engine, nil)
			for i, step := range steps {
				t.Run(step, func(t *testing.T) { killedTenant(t, w, step, i) })
			}
			_, err := w.Sealer.SealDue(t.Context())
			must(t, err)
		})
	}
}

func killedTenant(t *testing.T, w *tenancytest.World, step string, i int) {
	made, err := w.DB.CreateTenant(w.In(t, tenancy.ID{}), tenancy.Tenant{Name: "Tenant " + strconv.Itoa(i)})
	must(t, err)
	ctx := w.In(t, made.ID)
	people := fillOffice(ctx, t, w.DB, 3)
	job{Place: w.Place, Tenant: made.ID, Step: step}.kill(t)
	after := w.Reopen(t)
	p, err := persons.Get(ctx, after.DB, people[0])
	switch step {
	case "told":
		must(t, err)
		if name, err := p.Name.Reveal(); name != "Änne 0" || err != nil {
			t.Errorf("Reveal = %q, %v", name, err)
		}
	case "shredded":
		must(t, err)
		if _, err := p.Name.Reveal(); !errors.Is(err, field.ErrErased) {
			t.Errorf("Reveal: %v", err)
		}
	default:
		if !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("Get: %v, want ErrErased", err)
		}
	}
	if step != "told" {
		err := contracts.Insert(ctx, after.DB, &contract{Text: field.New("again"), Signer: "again"})
		if !errors.Is(err, tenancy.ErrErased) {
			t.Errorf("a key came back: %v", err)
		}
	}
	finished := step == "finished"
	if _, err := after.DB.TenantErasureRecord(ctx); finished != (err == nil) || !finished && !errors.Is(err, tenancy.ErrNotErased) {
		t.Errorf("the record: %v", err)
	}
	must(t, after.DB.EraseTenant(ctx))
	if n := left(t, w, made.ID); n != 0 {
		t.Errorf("%d rows and payloads still hold something", n)
	}
	if _, err := after.DB.TenantErasureRecord(ctx); err != nil {
		t.Errorf("the record: %v", err)
	}
}
