package audittest

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

// Record is one call of [Recorder.Record] that was taken.
type Record struct {
	Action  string // a word of the code
	Attrs   []slog.Attr
	Tenant  tenancy.ID // of the context; zero: the platform
	Actor   tenancy.Actor
	Session string // its public id, or ""
	Reason  string // of the context, or ""
}

// Attr is the value of an attribute; the zero Value where there is none.
func (r Record) Attr(key string) slog.Value {
	for _, a := range r.Attrs {
		if a.Key == key {
			return a.Value
		}
	}
	return slog.Value{}
}

// actionName is what a Log takes for an action; a test compares.
var actionName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./:-]{0,199}$`)

// Recorder takes the place of an [audit.Recorder] and keeps what it is told in
// memory. Like that one it demands an actor and an action that is a word of the
// code. The zero Recorder is ready, and safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	records []Record
	fail    error
}

// Record keeps the entry, or returns the error that [Recorder.Fail] has set.
func (r *Recorder) Record(ctx context.Context, action string, attrs ...slog.Attr) error {
	actor, err := tenancy.ActorFrom(ctx)
	if err != nil {
		return fmt.Errorf("audittest: %w", err)
	}
	if !actionName.MatchString(action) {
		return audit.ErrAction
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	tenant, _ := tenancy.TenantFrom(ctx) // none: the platform
	r.records = append(r.records, Record{
		Action: action, Attrs: slices.Clone(attrs), Tenant: tenant, Actor: actor,
		Session: tenancy.SessionFrom(ctx), Reason: tenancy.ReasonFrom(ctx),
	})
	return nil
}

// Fail makes Record return err from now on; nil ends it.
func (r *Recorder) Fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// Records are the entries so far, in their order.
func (r *Recorder) Records() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.records)
}

// Actions are those of the entries so far.
func (r *Recorder) Actions() []string {
	var all []string
	for _, x := range r.Records() {
		all = append(all, x.Action)
	}
	return all
}
