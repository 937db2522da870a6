package incident_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

const envChild = "ART32_INCIDENT_CHILD"

// order is what a child is to do, and at which step it stays.
type order struct {
	Place place
	Job   string // "notify" or "deliver"
	Step  string
	Case  uuid.UUID
	Box   string
}

// letterbox is a receiver outside the process: a file with a line for each
// arrival.
type letterbox string

func (b letterbox) Notify(_ context.Context, n incident.Notice) error {
	f, err := os.OpenFile(string(b), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, n.ID, len(n.Text))
	return err
}

func (b letterbox) options() *incident.Options {
	return &incident.Options{Notifiers: map[string]incident.Notifier{"box": b}}
}

// arrivals are the lines, and how many differ.
func (b letterbox) arrivals(tb testing.TB) (n, different int) {
	tb.Helper()
	text, err := os.ReadFile(string(b))
	must(tb, err)
	seen := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		n++
		seen[line] = true
	}
	return n, len(seen)
}

// TestKilledChild is the process that is killed: at its step it says so and stays
// there.
func TestKilledChild(t *testing.T) {
	text := os.Getenv(envChild)
	if text == "" {
		return
	}
	var o order
	must(t, json.Unmarshal([]byte(text), &o))
	w := &world{place: o.Place}
	must(t, w.open(t.Context(), letterbox(o.Box).options()))
	w.desk.Impatient()
	w.desk.OnStep(func(name string) {
		if name == o.Step {
			fmt.Println("here")
			select {}
		}
	})
	var err error
	if o.Job == "notify" {
		_, err = w.desk.Notify(w.as(t.Context()), o.Case)
	} else {
		err = w.desk.Run(t.Context())
	}
	t.Fatal("not killed:", err)
}

// kill starts a child and kills it once it has come to its step.
func (w *world) kill(tb testing.TB, o order) {
	tb.Helper()
	o.Place = w.place
	text, err := json.Marshal(o)
	must(tb, err)
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestKilledChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), envChild+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(tb, err)
	must(tb, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "here\n" {
		tb.Errorf("child says %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// deliverTime is far more than deliveries to a file need, also on a machine that is
// busy.
const deliverTime = 2 * time.Minute

// deliverAll runs the desk until nothing waits for delivery. It fails where the
// desk stops, gives something up, or does not come to an end.
func (w *world) deliverAll(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), deliverTime)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- w.desk.Run(ctx) }()
	for {
		s := w.status(tb)
		if waiting(tb, s) == 0 {
			break
		}
		select {
		case err := <-ended:
			tb.Fatalf("the desk ends with %d of its notices not delivered: %v\n%+v", waiting(tb, s), err, s.Notices)
		case <-time.After(20 * time.Millisecond):
		}
	}
	cancel()
	<-ended
}

// waiting counts what of a case waits for delivery.
func waiting(tb testing.TB, s incident.CaseStatus) (n int) {
	tb.Helper()
	if s.Notified.IsZero() {
		n++
	}
	for _, notice := range s.Notices {
		for _, c := range notice.Channels {
			if !c.Dead.IsZero() {
				tb.Fatalf("notice %s was given up after %d attempts: %s", notice.ID, c.Attempts, c.Code)
			}
			if c.Delivered.IsZero() {
				n++
			}
		}
	}
	return n
}

// wantRecorded fails where a notice counts as delivered and its tenant's log does
// not say so: no entry, no action.
func (w *world) wantRecorded(tb testing.TB) {
	tb.Helper()
	for _, n := range w.status(tb).Notices {
		recorded := 0
		for _, action := range w.entries(tb, n.Tenant) {
			if action == "incident.deliver" {
				recorded++
			}
		}
		for _, c := range n.Channels {
			if !c.Delivered.IsZero() {
				recorded--
			}
		}
		if recorded < 0 {
			tb.Errorf("notice %s counts as delivered, and stands in no log", n.ID)
		}
	}
}

// Killed wherever it may be: repeated, each tenant has one notice under one id,
// and before the commit nothing has left.
func TestKilledNotify(t *testing.T) {
	for _, step := range []string{"scanned", "recorded", "queued", "committed"} {
		t.Run(step, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				box := letterbox(filepath.Join(w.Dir, "box"))
				w.contacts(t)
				for _, id := range []tenancy.ID{w.a, w.b} {
					w.tamper(t, id, w.people(t, id, 2)...)
				}
				c, err := w.desk.Open(w.as(t.Context()), report())
				must(t, err)
				w.desk, err = w.newDesk(box.options())
				must(t, err)
				w.desk.Impatient()
				w.kill(t, order{Job: "notify", Step: step, Case: c.ID, Box: string(box)})
				s, want := w.status(t), 0
				if step == "committed" {
					want = 2
				}
				if len(s.Notices) != want || s.Notified.IsZero() != (want == 0) {
					t.Errorf("%d notices after the end of the process, want %d", len(s.Notices), want)
				}
				_, err = w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				w.deliverAll(t)
				if n, different := box.arrivals(t); n != 2 || different != 2 {
					t.Errorf("%d arrivals, %d different", n, different)
				}
			})
		})
	}
}

// A notice arrives at least once, and each time under the same id.
func TestKilledDelivery(t *testing.T) {
	for step, want := range map[string]int{"claimed": 1, "sent": 2, "noted": 2, "marked": 1} {
		t.Run(step, func(t *testing.T) {
			onBoth(t, func(t *testing.T, w *world) {
				box := letterbox(filepath.Join(w.Dir, "box"))
				c := w.attacked(t)
				var err error
				w.desk, err = w.newDesk(box.options())
				must(t, err)
				w.desk.Impatient()
				_, err = w.desk.Notify(w.as(t.Context()), c.ID)
				must(t, err)
				w.kill(t, order{Job: "deliver", Step: step, Case: c.ID, Box: string(box)})
				if delivered := !w.status(t).Notices[0].Channels[0].Delivered.IsZero(); delivered != (step == "marked") {
					t.Errorf("after the end of the process it counts as delivered: %v", delivered)
				}
				w.wantRecorded(t)
				w.deliverAll(t)
				w.wantRecorded(t)
				if n, different := box.arrivals(t); n != want || different != 1 {
					t.Errorf("%d arrivals, %d different; want %d of one", n, different, want)
				}
				wantTasks(t, w, "acknowledge")
			})
		})
	}
}

// Two desks deliver at once: each notice arrives once.
func TestTwoDesks(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		box := letterbox(filepath.Join(w.Dir, "box"))
		w.contacts(t)
		w.tamper(t, w.a, w.people(t, w.a, 1)...)
		w.tamper(t, w.b, w.people(t, w.b, 1)...)
		c, err := w.desk.Open(w.as(t.Context()), report())
		must(t, err)
		var desks []*incident.Desk
		for range 2 {
			d, err := w.newDesk(box.options())
			must(t, err)
			d.Impatient()
			desks = append(desks, d)
		}
		_, err = desks[0].Notify(w.as(t.Context()), c.ID)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { _ = desks[1].Run(ctx) })
		w.desk = desks[0]
		w.deliverAll(t)
		cancel()
		wg.Wait()
		if n, different := box.arrivals(t); n != 2 || different != 2 {
			t.Errorf("%d arrivals, %d different", n, different)
		}
	})
}
