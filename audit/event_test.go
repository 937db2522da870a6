package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

func parts(subjects ...uuid.UUID) []audit.Part {
	var all []audit.Part
	for i, id := range subjects {
		all = append(all, audit.Part{Subject: id, Attrs: []slog.Attr{slog.String("to", fmt.Sprintf("person-%d@example.org", i))}})
	}
	return all
}

// An event about several people tells of each apart, so that one of them can be
// forgotten alone.
func TestWriteTellsOfEachPersonApart(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		all := w.customers(t, 3)
		ids := []uuid.UUID{all[0].ID, all[1].ID, all[2].ID}
		ctx, object := w.in(t.Context(), w.a), uuid.New()
		write := func(ev audit.Event) error {
			return w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error { return w.log.Write(ctx, tx, ev) })
		}
		ev := audit.Event{Action: "newsletter.send", Object: object, Attrs: []slog.Attr{slog.Int("mails", 3)}, Parts: parts(ids...)}
		must(t, write(ev))
		must(t, w.db.InSQL(ctx, func(ctx context.Context, tx *tenancy.SQLTx) error { return w.log.Write(ctx, tx.Tx, ev) }))
		show := func(e audit.Entry) string {
			text, err := json.Marshal([]any{e.Attrs, e.Parts, e.Withheld, e.Reason != "", e.Erased, e.Damaged})
			must(t, err)
			return string(text)
		}
		person := func(i int) string {
			return fmt.Sprintf(`{"Subject":"%s","Attrs":{"to":"person-%d@example.org"}}`, ids[i], i)
		}
		want := `[{"mails":3},[` + person(0) + "," + person(1) + "," + person(2) + `],null,true,false,false]`
		got := w.entries(ctx, t, audit.Filter{Action: "newsletter.send", Object: object})
		if len(got) != 2 || show(got[0]) != want || show(got[1]) != want || got[0].Outcome != tenancy.Done {
			t.Fatalf("got %v %s, want %s", got, show(got[0]), want)
		}
		if n := len(w.entries(ctx, t, audit.Filter{Subject: ids[1]})); n != 3 {
			t.Errorf("%d events tell of the second", n)
		}
		w.seal(t)
		must(t, w.db.Erase(ctx, ids[1]))
		w.seal(t)
		w.wantOK(t, nil)
		want = `[{"mails":3},[` + person(0) + "," + person(2) + `],null,true,true,false]`
		if e := w.entries(ctx, t, audit.Filter{Object: object})[0]; show(e) != want {
			t.Errorf("after an erasure: got %s, want %s", show(e), want)
		}
		if n := len(w.entries(ctx, t, audit.Filter{Subject: ids[1]})); n != 0 {
			t.Errorf("%d events tell of the second, who was erased", n)
		}
		must(t, write(audit.Event{Action: "newsletter.stop", Parts: parts(ids[1], ids[0])}))
		e := w.entries(ctx, t, audit.Filter{Action: "newsletter.stop"})[0]
		want = `[null,[{"Subject":"` + ids[0].String() + `","Attrs":{"to":"person-1@example.org"}}],["reason","to"],true,false,false]`
		if show(e) != want {
			t.Errorf("about an erased person: got %s, want %s", show(e), want)
		}
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", e.Parts, e.Parts, e.Parts, e.Parts), e.Parts[0].LogValue().String(), fmt.Sprint(e)} {
			if strings.Contains(text, "person-") || strings.Contains(text, e.Parts[0].Subject.String()) {
				t.Errorf("shows %s", text)
			}
		}
	})
}

// Where the event cannot be written the transaction has nothing of it.
func TestWriteRefusesBeforeItWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.in(t.Context(), w.a)
		many := make([]uuid.UUID, audit.MaxParts+1)
		for i := range many {
			many[i] = uuid.New()
		}
		for name, c := range map[string]struct {
			event audit.Event
			want  error
		}{
			"too many people": {audit.Event{Action: "a.b", Parts: parts(many...)}, audit.ErrTooLarge},
			"too long":        {audit.Event{Action: "a.b", Attrs: []slog.Attr{slog.String("text", strings.Repeat("x", 4<<20))}}, audit.ErrTooLarge},
			"too long together": {audit.Event{Action: "a.b", Parts: []audit.Part{
				{Subject: many[0], Attrs: []slog.Attr{slog.String("text", strings.Repeat("x", 3<<20))}},
				{Subject: many[1], Attrs: []slog.Attr{slog.String("text", strings.Repeat("x", 3<<20))}},
			}}, audit.ErrTooLarge},
			"about nobody":      {audit.Event{Action: "a.b", Parts: parts(uuid.Nil)}, audit.ErrPayload},
			"no form":           {audit.Event{Action: "a.b", Attrs: []slog.Attr{anyAttr(make(chan int))}}, audit.ErrPayload},
			"no form of a part": {audit.Event{Action: "a.b", Parts: []audit.Part{{Subject: many[0], Attrs: []slog.Attr{anyAttr(make(chan int))}}}}, audit.ErrPayload},
			"no action":         {audit.Event{Action: "Frau Grünwald"}, audit.ErrAction},
			"unknown outcome":   {audit.Event{Action: "a.b", Outcome: 3}, audit.ErrLeaf},
		} {
			must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
				if err := w.log.Write(ctx, tx, c.event); !errors.Is(err, c.want) {
					t.Errorf("%s: got %v, want %v", name, err, c.want)
				}
				return nil // commits what there is
			}))
		}
		var ended *tenancy.Tx
		must(t, w.db.In(ctx, func(_ context.Context, tx *tenancy.Tx) error { ended = tx; return nil }))
		wantErr(t, w.log.Write(ctx, ended, audit.Event{Action: "a.b"}), tenancy.ErrTxDone)
		wantErr(t, w.log.Write(ctx, nil, audit.Event{Action: "a.b"}), audit.ErrNoTx)
		if got := w.entries(ctx, t, audit.Filter{}); len(got) != 0 {
			t.Errorf("got %v", got)
		}
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Write(ctx, tx, audit.Event{Action: "a.b", Parts: parts(many[:audit.MaxParts]...)})
		}))
		w.seal(t)
		w.wantOK(t, nil)
		stranger := uuid.New()
		must(t, w.db.In(ctx, func(ctx context.Context, tx *tenancy.Tx) error {
			return w.log.Write(ctx, tx, audit.Event{Action: "a.c", Outcome: tenancy.Refused, Parts: parts(stranger)})
		}))
		if e := w.entries(ctx, t, audit.Filter{Action: "a.c"})[0]; e.Outcome != tenancy.Refused || len(e.Parts) != 0 || len(e.Withheld) != 2 {
			t.Errorf("a refusal made a key: %v %v", e.Outcome, e.Withheld)
		}
	})
}
