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
	got      []incidenttest.Received
	isBroken bool
}

func sound() *fake {
	return &fake{
		check:   func(n *incident.Notice) error { return n.Check() },
		id:      func(id uuid.UUID) uuid.UUID { return id },
		text:    func(s string) string { return s },
		refusal: func(incident.Notice) error { return errors.New("refused") },
		context: context.Context.Err,
	}
}

func (f *fake) Notify(ctx context.Context, n incident.Notice) error {
	if err := errors.Join(f.context(ctx), f.check(&n)); err != nil {
		return err
	}
	if f.isBroken {
		return f.refusal(n)
	}
	f.got = append(f.got, incidenttest.Received{ID: f.id(n.ID), Text: f.text(n.Text)})
	return nil
}

func (f *fake) fixture() incidenttest.Fixture {
	return incidenttest.Fixture{
		Notifier: f, Break: func() { f.isBroken = true },
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
				got = append(got, incidenttest.Received{ID: x.ID, Text: x.Text})
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
		"cuts the text":        func(f *fake) { f.text = func(s string) string { return s[:10] } },
		"checks nothing":       func(f *fake) { f.check = func(*incident.Notice) error { return nil } },
		"checks lines only":    func(f *fake) { f.check = func(n *incident.Notice) error { return onlyLines(n) } },
		"swallows the failure": func(f *fake) { f.refusal = func(incident.Notice) error { return nil } },
		"error names the person": func(f *fake) {
			f.refusal = func(n incident.Notice) error { return errors.New("no mailbox " + n.To.Mail) }
		},
		"goes on for ever": func(f *fake) { f.context = func(context.Context) error { return nil } },
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
