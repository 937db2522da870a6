package memstore_test

import (
	"testing"

	"github.com/art32/art32/session"
	"github.com/art32/art32/session/memstore"
	"github.com/art32/art32/session/sessiontest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	sessiontest.RunStore(t, func(*testing.T) session.Store { return memstore.New() })
}
