package incidenttest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/incidenttest"
)

// fake is a notifier that does what its parts say.
type fake struct {
	check    func(*incident.Notice) error
	id       func(uuid.UUID) uuid.UUID
	text     func(string) string
	refusal  func(incident.Notice) error
	context  func(context.Context) error
	to       func(string) string
	json     func([]byte) []byte
	wait     func(context.Context) error // for a receiver that hangs
	early    bool                        // sends before it looks at the context
	got      []incidenttest.Received
	isBroken bool
	hangs    bool
}

func sound() *fake {
	return &fake{
		check:   func(n *incident.Notice) error { return n.Check() },
		id:      func(id uuid.UUID) uuid.UUID { return id },
		text:    func(s string) string { return s },
		refusal: func(incident.Notice) error { return errors.New("refused") },
		context: context.Context.Err,
		to:      func(s string) string { return s },
		json:    func(b []byte) []byte { return b },
		wait: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

func (f *fake) Notify(ctx context.Context, n incident.Notice) error {
	r := incidenttest.Received{ID: f.id(n.ID), To: f.to(n.To.Mail), Text: f.text(n.Text), JSON: f.json(n.JSON)}
	if f.early && f.check(&n) == nil && !f.isBroken && !f.hangs {
		f.got = append(f.got, r)
		return f.context(ctx)
	}
	if err := errors.Join(f.context(ctx), f.check(&n)); err != nil {
		return err
	}
	if f.isBroken {
		return f.refusal(n)
	}
	if f.hangs {
		return f.wait(ctx)
	}
	f.got = append(f.got, r)
	return nil
}

func (f *fake) fixture() incidenttest.Fixture {
	return incidenttest.Fixture{
		Notifier: f, Break: func() { f.isBroken = true }, Hang: func() { f.hangs = true },
		Received: func() ([]incidenttest.Received, error) { return f.got, nil },
	}
}

func TestSound(t *testing.T) {
	t.Parallel()
	incidenttest.RunNotifier(t, func(*testing.T) incidenttest.Fixture { return sound().fixture() })
	incidenttest.RunNotifier(t, func(*testing.T) incidenttest.Fixture {
		n := &incidenttest.Notifier{}
		return incidenttest.Fixture{Notifier: n, Break: func() { n.Fail(errors.New("refused")) }, Received: func() (got []incidenttest.Received, err error) {
			for _, x := range n.Notices() {
				got = append(got, incidenttest.Received{ID: x.ID, To: x.To.Mail, Text: x.Text, JSON: x.JSON})
			}
			return got, nil
		}}
	})
}

// Each broken notifier is caught, and each case catches at least one.
func TestBroken(t *testing.T) {
	t.Parallel()
	broken := map[string]func(*fake){
		"drops all": func(f *fake) {
			f.got = nil
			f.id = func(uuid.UUID) uuid.UUID { return uuid.Nil }
			f.text = func(string) string { return "" }
		},
		"another id each time": func(f *fake) { f.id = func(uuid.UUID) uuid.UUID { return uuid.New() } },
		"one id for all":       func(f *fake) { f.id = func(uuid.UUID) uuid.UUID { return uuid.Max } },
		"cuts the text":        func(f *fake) { f.text = func(s string) string { return s[:min(10, len(s))] } },
		"checks nothing":       func(f *fake) { f.check = func(*incident.Notice) error { return nil } },
		"checks lines only":    func(f *fake) { f.check = func(n *incident.Notice) error { return onlyLines(n) } },
		"swallows the failure": func(f *fake) { f.refusal = func(incident.Notice) error { return nil } },
		"error names the person": func(f *fake) {
			f.refusal = func(n incident.Notice) error { return errors.New("no mailbox " + n.To.Mail) }
		},
		"goes on for ever":     func(f *fake) { f.context = func(context.Context) error { return nil } },
		"sends, then looks":    func(f *fake) { f.early = true },
		"drops the JSON":       func(f *fake) { f.json = func([]byte) []byte { return nil } },
		"one receiver for all": func(f *fake) { f.to = func(string) string { return "always@first.example" } },
		"keeps the first receiver": func(f *fake) {
			first := ""
			f.to = func(to string) string {
				if first == "" {
					first = to
				}
				return first
			}
		},
		"says yes while it hangs": func(f *fake) { f.wait = func(context.Context) error { return nil } },
		"hangs for ever": func(f *fake) {
			f.wait = func(context.Context) error {
				<-t.Context().Done()
				return nil
			}
		},
	}
	catches := make(map[string]int)
	for name, damage := range broken {
		caught := 0
		for _, c := range incidenttest.Cases() {
			f := sound()
			damage(f)
			if c.Check(t.Context(), f.fixture()) != nil {
				caught++
				catches[c.Name]++
			}
		}
		if caught == 0 {
			t.Errorf("nothing catches the notifier that %s", name)
		}
	}
	for _, c := range incidenttest.Cases() {
		if catches[c.Name] == 0 || c.Explanation == "" || c.Measure == "" {
			t.Errorf("case %q catches nothing, or does not say why it is", c.Name)
		}
	}
}

// onlyLines forgets that a notice must be whole.
func onlyLines(n *incident.Notice) error {
	whole := *n
	whole.ID, whole.Text, whole.JSON = uuid.Max, "x", []byte("{}")
	return whole.Check()
}

func TestNotifierCountsAndRecovers(t *testing.T) {
	t.Parallel()
	var n incidenttest.Notifier
	x := incident.Notice{ID: uuid.New(), Subject: "s", Text: "t", JSON: []byte("{}"), To: incident.Contact{Name: "A", Mail: "a@example.org"}}
	failure := errors.New("down")
	n.Fail(failure)
	if err := n.Notify(t.Context(), x); !errors.Is(err, failure) {
		t.Errorf("Notify() = %v", err)
	}
	n.Fail(nil)
	for range 2 {
		if err := n.Notify(t.Context(), x); err != nil {
			t.Error(err)
		}
	}
	if n.Tries() != 3 || len(n.Notices()) != 1 {
		t.Errorf("%d tries, %d notices", n.Tries(), len(n.Notices()))
	}
}
