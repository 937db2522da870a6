package incidenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/tenancy"
)

// Fixture is a notifier with eyes on its receiving end.
type Fixture struct {
	Notifier incident.Notifier // to be judged
	// Received is all that has arrived, repetitions included.
	Received func() ([]Received, error)
	// Break has the receiving end refuse from now on.
	Break func()
	// Hang has the receiving end take nothing and answer nothing from now on. Nil
	// where it cannot hang, as a folder.
	Hang func()
}

// Received is a notice at the receiving end.
type Received struct {
	ID   uuid.UUID // by which the receiver recognises a repetition
	To   string    // the address that it came to; "" where the channel has none, as a folder
	Text string    // with \n at the end of lines
	JSON []byte    // the form for machines
}

// is reports whether n has arrived, whole and at its receiver.
func (r *Received) is(n *incident.Notice) bool {
	return r.ID == n.ID && (r.To == "" || r.To == n.To.Mail) && r.Text == n.Text && bytes.Equal(r.JSON, n.JSON)
}

// Case is one demand on a notifier.
type Case struct {
	Name        string // of the demand
	Measure     string // of the contract
	Explanation string // why it must be so
	Check       func(ctx context.Context, f Fixture) error
}

// Cases are all demands, as data.
func Cases() []Case {
	return []Case{
		{"delivers", "TOM-9.2", "nil means that the receiver, and nobody else, has the notice, whole", delivers},
		{"recognisable", "TOM-9.2", "delivery is at least once: a repetition must bear the same id and content", recognisable},
		{"two notices are two", "TOM-9.2", "a notice of one tenant must not pass for a repetition of another's", twoAreTwo},
		{"refuses injection", "TOM-9.2", "a name or subject must not become a header or an address", refusesInjection},
		{"refuses the incomplete", "TOM-9.2", "an empty notice would count as told", refusesIncomplete},
		{"says that it failed", "TOM-9.2", "what is not delivered must be tried again, and no error may name people", saysFailure},
		{"ends with its context", "TOM-9.2", "a channel that hangs must hold up nobody", endsWithContext},
	}
}

const canary = "kanarienvogel"

// sample is a notice with all that makes a channel stumble.
func sample() incident.Notice {
	return incident.Notice{
		ID: uuid.New(), Case: uuid.New(), Tenant: tenancy.NewID(), Number: 1,
		To:      incident.Contact{Name: `Jörg "der" Groß`, Mail: canary + "@example.org"},
		Subject: "Meldung / notice: Größe", JSON: []byte(`{"format":"art32-incident-notice"}`),
		Text: "Grüße\n.\n..\nFrom here\n\n   | ends with blanks  \n" + strings.Repeat("ä long line ", 200) + "\n= 4=20 %s <a&b>\n",
	}
}

func delivers(ctx context.Context, f Fixture) error {
	n := sample()
	if err := f.Notifier.Notify(ctx, n); err != nil {
		return fmt.Errorf("not delivered: %w", err)
	}
	got, err := f.Received()
	if err != nil {
		return err
	}
	if len(got) != 1 || !got[0].is(&n) {
		return errors.New("what arrived is not what was sent")
	}
	return nil
}

func recognisable(ctx context.Context, f Fixture) error {
	n := sample()
	for range 2 {
		if err := f.Notifier.Notify(ctx, n); err != nil {
			return fmt.Errorf("not delivered: %w", err)
		}
	}
	got, err := f.Received()
	if err != nil {
		return err
	}
	for _, r := range got {
		if !r.is(&n) {
			return errors.New("the repetition cannot be recognised")
		}
	}
	if len(got) == 0 {
		return errors.New("nothing arrived")
	}
	return nil
}

func twoAreTwo(ctx context.Context, f Fixture) error {
	sent, ids := make(map[uuid.UUID]incident.Notice), make(map[uuid.UUID]bool)
	for i := range 2 {
		n := sample()
		n.To.Mail = canary + strconv.Itoa(i) + "@example.org"
		if err := f.Notifier.Notify(ctx, n); err != nil {
			return fmt.Errorf("not delivered: %w", err)
		}
		sent[n.ID] = n
	}
	got, err := f.Received()
	for _, r := range got {
		ids[r.ID] = true
		if n := sent[r.ID]; !r.is(&n) {
			return errors.New("a notice came to another receiver, or as another")
		}
	}
	if err == nil && len(ids) != 2 {
		return fmt.Errorf("two notices arrived as %d", len(ids))
	}
	return err
}

// unwanted has each notice refused, and nothing arrive.
func unwanted(ctx context.Context, f Fixture, edits map[string]func(*incident.Notice)) error {
	for name, edit := range edits {
		n := sample()
		edit(&n)
		if f.Notifier.Notify(ctx, n) == nil {
			return errors.New("taken over: " + name)
		}
	}
	got, err := f.Received()
	if err == nil && len(got) > 0 {
		return errors.New("something arrived")
	}
	return err
}

func refusesInjection(ctx context.Context, f Fixture) error {
	return unwanted(ctx, f, map[string]func(*incident.Notice){
		"line break in the address": func(n *incident.Notice) { n.To.Mail = "a@example.org\r\nRCPT TO:<b@example.org>" },
		"two addresses":             func(n *incident.Notice) { n.To.Mail = "a@example.org, b@example.org" },
		"address with a name":       func(n *incident.Notice) { n.To.Mail = "A <a@example.org>" },
		"line break in the name":    func(n *incident.Notice) { n.To.Name = "A\r\nBcc: b@example.org" },
		"line break in the subject": func(n *incident.Notice) { n.Subject = "A\nBcc: b@example.org" },
		"terminal in the subject":   func(n *incident.Notice) { n.Subject = "A\x1b]0;B\x07" },
	})
}

func refusesIncomplete(ctx context.Context, f Fixture) error {
	return unwanted(ctx, f, map[string]func(*incident.Notice){
		"no id":      func(n *incident.Notice) { n.ID = uuid.Nil },
		"no text":    func(n *incident.Notice) { n.Text = "" },
		"no JSON":    func(n *incident.Notice) { n.JSON = nil },
		"no address": func(n *incident.Notice) { n.To.Mail = "" },
	})
}

func saysFailure(ctx context.Context, f Fixture) error {
	f.Break()
	n := sample()
	err := f.Notifier.Notify(ctx, n)
	if err == nil {
		return errors.New("not delivered, and no error")
	}
	if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), "Groß") {
		return errors.New("the error names the contact")
	}
	return nil
}

const (
	patience = 300 * time.Millisecond // of the context of a channel that hangs
	grace    = 5 * time.Second        // until it must have returned
)

func endsWithContext(ctx context.Context, f Fixture) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if f.Notifier.Notify(ended, sample()) == nil {
		return errors.New("delivered after its context had ended")
	}
	got, err := f.Received()
	if err == nil && len(got) > 0 {
		return errors.New("something arrived after its context had ended, and it says that it failed")
	}
	if err != nil || f.Hang == nil {
		return err
	}
	f.Hang()
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- f.Notifier.Notify(limited, sample()) }()
	select {
	case err := <-done:
		if err == nil {
			return errors.New("the receiver hangs, and no error")
		}
		return nil
	case <-time.After(grace):
		return errors.New("it goes on after its context has ended")
	}
}
