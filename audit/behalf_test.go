package audit_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// Who acted for whom stands in the log, also under the sealed context, and is
// found by the one and by the other.
func TestActedForAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		agent, user := tenancy.Person(uuid.New()), tenancy.Person(uuid.New())
		importer := tenancy.MustService("import")
		system := tenancy.MustSystem("import") // the same word
		as := func(a tenancy.Actor) context.Context { return tenancy.WithActor(w.in(t.Context(), w.a), a) }
		for _, a := range []tenancy.Actor{agent, agent.For(user), importer.For(user), importer, system, user} {
			must(t, customers.Insert(as(a), w.db, &customer{Email: field.New("a@example.org"), Plan: "basic"}))
			must(t, w.db.InSQL(as(a), func(ctx context.Context, _ *tenancy.SQLTx) error { return w.log.Record(ctx, "export.list") }))
		}
		w.seal(t)
		if r := w.wantOK(t, nil); r.Size != 12 {
			t.Fatalf("sealed %d of 12", r.Size)
		}
		for name, c := range map[string]struct {
			filter audit.Filter
			want   int
		}{
			"agent, also for another":     {audit.Filter{Actor: agent.String()}, 4},
			"agent for the user alone":    {audit.Filter{Actor: agent.For(user).String()}, 2},
			"user does, not is done for":  {audit.Filter{Actor: user.String()}, 2},
			"for the user":                {audit.Filter{For: user.String()}, 4},
			"service for the user":        {audit.Filter{Actor: importer.String(), For: user.String()}, 2},
			"service, not the system":     {audit.Filter{Actor: importer.String()}, 4},
			"system":                      {audit.Filter{Actor: system.String()}, 2},
			"a prefix of the text is not": {audit.Filter{Actor: "person:"}, 0},
			"prefix of an action":         {audit.Filter{Action: "customers."}, 6},
			"no wildcard in an action":    {audit.Filter{Action: "%."}, 0},
		} {
			if got := len(w.entries(as(agent), t, c.filter)); got != c.want {
				t.Errorf("%s: got %d, want %d", name, got, c.want)
			}
		}
		got, err := w.log.Trace(as(agent), w.db, tenancy.TraceQuery{Actors: []string{agent.String()}})
		if must(t, err); got.Records != 2 {
			t.Errorf("trace of the agent: %d records", got.Records)
		}
		got, err = w.log.Trace(as(agent), w.db, tenancy.TraceQuery{Actors: []string{agent.For(user).String()}})
		if must(t, err); got.Records != 1 {
			t.Errorf("trace of the agent for the user: %d records", got.Records)
		}
		err = customers.Insert(as(agent.For(user).For(user)), w.db, &customer{})
		if !errors.Is(err, tenancy.ErrNoActor) {
			t.Errorf("a second level: %v", err)
		}
	})
}
