package audittest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// Event is what a test expects in the log. Zero fields but Action match
// anything.
type Event struct {
	Action  string        // table and verb, or another word of the code
	Object  uuid.UUID     // the row
	Actor   tenancy.Actor // who did it
	Outcome audit.Outcome // 0 is tenancy.Done
	Reason  string        // why, as the context said
	// Fields names the columns that changed, all of them, in any order. Nil
	// matches any, an empty slice none.
	Fields []string
}

// Watcher tells apart what was written to a log since it began to watch. It
// serves one goroutine.
type Watcher struct {
	tb     testing.TB
	log    *audit.Log
	db     *tenancy.DB
	tenant tenancy.ID
	seen   map[uuid.UUID]bool // events of before, and those that Wrote has found
}

// Watch begins to watch the log of a tenant, or for the zero ID that of the
// platform.
func Watch(tb testing.TB, log *audit.Log, db *tenancy.DB, tenant tenancy.ID) *Watcher {
	tb.Helper()
	w := &Watcher{tb: tb, log: log, db: db, tenant: tenant, seen: make(map[uuid.UUID]bool)}
	for _, e := range w.news() {
		w.seen[e.ID] = true
	}
	return w
}

// Wrote fails the test at once unless an event was written that is as want, and
// returns the first that is, for a closer look. Each event answers one call.
func (w *Watcher) Wrote(want Event) audit.Entry {
	w.tb.Helper()
	news := w.news()
	for _, e := range news {
		if want.is(e) {
			w.seen[e.ID] = true
			return e
		}
	}
	w.tb.Fatalf("audittest: no event %s; there are:%s", want, lines(news))
	return audit.Entry{}
}

// Nothing fails the test if events were written that no call of Wrote has
// found.
func (w *Watcher) Nothing() {
	w.tb.Helper()
	if news := w.news(); len(news) > 0 {
		w.tb.Errorf("audittest: there are events that nobody expects:%s", lines(news))
	}
}

// news lists the events that are not seen yet, in their order.
func (w *Watcher) news() []audit.Entry {
	w.tb.Helper()
	ctx := context.WithoutCancel(w.tb.Context()) // a clean-up may look too
	if !w.tenant.IsZero() {
		ctx = tenancy.WithTenant(ctx, w.tenant)
	}
	var all []audit.Entry
	for e, err := range w.log.Events(ctx, w.db, audit.Filter{Platform: w.tenant.IsZero()}) {
		if err != nil {
			w.tb.Fatalf("audittest: read the log: %v", err)
		}
		if !w.seen[e.ID] {
			all = append(all, e)
		}
	}
	return all
}

func (want Event) is(e audit.Entry) bool {
	return !e.Forged && e.Action == want.Action &&
		(want.Object == uuid.Nil || e.Object == want.Object) &&
		(want.Actor.IsZero() || e.Actor == want.Actor.String()) &&
		e.Outcome == want.outcome() &&
		(want.Reason == "" || e.Reason == want.Reason) &&
		(want.Fields == nil || slices.Equal(slices.Sorted(slices.Values(want.Fields)), columns(e)))
}

func (want Event) outcome() audit.Outcome {
	if want.Outcome == 0 {
		return tenancy.Done
	}
	return want.Outcome
}

// columns are those that an entry tells of, sorted.
func columns(e audit.Entry) []string {
	names := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		names[i] = f.Column
	}
	slices.Sort(names)
	return names
}

// String describes what is expected; a reason, which may name people, is left
// out.
func (want Event) String() string {
	s := describe(want.Action, want.outcome(), want.Object, want.Actor.String())
	if want.Fields != nil {
		s += fmt.Sprintf(" fields %v", slices.Sorted(slices.Values(want.Fields)))
	}
	if want.Reason != "" {
		s += " for a reason"
	}
	return s
}

// lines describes entries without what their payloads hold.
func lines(entries []audit.Entry) string {
	if len(entries) == 0 {
		return " none"
	}
	var s strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&s, "\n\t%s fields %v", describe(e.Action, e.Outcome, e.Object, e.Actor), columns(e))
		if e.Reason != "" {
			s.WriteString(" for a reason")
		}
		if e.Forged {
			s.WriteString(" (forged)")
		}
	}
	return s.String()
}

func describe(action string, o audit.Outcome, object uuid.UUID, actor string) string {
	s := action
	if o == tenancy.Refused {
		s += " (refused)"
	}
	if object != uuid.Nil {
		s += " of " + object.String()
	}
	if actor != "" {
		s += " by " + actor
	}
	return s
}
