package audittest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/google/uuid"

	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/internal/stagetest"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// upgrade is a handler that sets the plan of a customer.
func upgrade(db *tenancy.DB) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		id, err := uuid.Parse(r.FormValue("id"))
		if err == nil {
			err = customers.Edit(r.Context(), db, id, func(c *customer) error { c.Plan = "pro"; return nil })
		}
		if err != nil {
			rw.WriteHeader(http.StatusNotFound)
		}
	}
}

// A test of a handler says which event it expects, and that there is no other.
func ExampleWatch() {
	t := stagetest.New() // the t of a test
	defer t.End()
	w := tenancytest.New(t, schema, &tenancytest.Options{Migrations: migrations()})
	c := customer{City: "Köln", Plan: "free"}
	if err := customers.Insert(w.In(t, w.A), w.DB, &c); err != nil {
		t.Fatal(err)
	}

	a := audittest.Watch(t, w.Log, w.DB, w.A)
	r := httptest.NewRequestWithContext(w.In(t, w.A), http.MethodPost, "/upgrade?id="+c.ID.String(), nil)
	upgrade(w.DB).ServeHTTP(httptest.NewRecorder(), r)

	e := a.Wrote(audittest.Event{Action: "customers.update", Object: c.ID, Fields: []string{"plan"}})
	fmt.Println(e.Actor, e.Action, string(e.Fields[0].Old), string(e.Fields[0].New))
	a.Nothing()
	// Output:
	// service:test customers.update "free" "pro"
}

// No entry, no action: a package with a Recorder of its own is tested with one
// that fails.
func ExampleRecorder() {
	var recorder audittest.Recorder
	ctx := tenancy.WithActor(context.Background(), tenancy.MustService("test"))
	send := func() error { // of the package under test
		if err := recorder.Record(ctx, "mail.send"); err != nil {
			return err
		}
		fmt.Println("sent")
		return nil
	}
	fmt.Println(send(), recorder.Actions())
	recorder.Fail(errors.New("the log is full"))
	fmt.Println(send(), recorder.Actions())
	// Output:
	// sent
	// <nil> [mail.send]
	// the log is full [mail.send]
}
