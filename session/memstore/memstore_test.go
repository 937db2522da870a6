package memstore_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
	"github.com/art32/art32/tenancy"
)

func TestStore(t *testing.T) {
	t.Parallel()
	sessiontest.RunStore(t, func(*testing.T) session.Store { return memstore.New() })
}

// TestPrintsNoHash shows that a store which is logged tells nothing.
func TestPrintsNoHash(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.3")
	s := memstore.New()
	row := session.Row{Hash: session.Hash{201, 202, 203, 204}, Session: session.Session{ID: uuid.New(), Tenant: tenancy.NewID(), User: uuid.New()}}
	if err := s.Insert(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, s); got != "memstore.Store" {
			t.Errorf("%s: %s", verb, got)
		}
	}
}
