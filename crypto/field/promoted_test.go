package field_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
)

type (
	// event has a note that the promoted methods of its time do not know.
	event struct {
		time.Time
		Note string
	}
	// ownEvent has methods of its own, and so has noted for every T.
	ownEvent struct {
		time.Time
		Note string
	}
	noted[T any] struct {
		time.Time
		Note T
	}
	// halfEvent writes itself and is read by its time.
	halfEvent struct {
		time.Time
		Note string
	}
	host struct {
		netip.Addr
		Port int
	}
	// moment is a time and nothing more that shows.
	moment struct {
		time.Time
		_    int
		Left string `json:"-"`
	}
	otherBase struct{ Street string }
	itself    struct {
		*itself //nolint:unused // embeds itself
		Note    string
	}
	// below holds itself behind a slice, and what it holds embeds it.
	below  struct{ Below []around }
	Below  = below
	around struct {
		Below
		Note string
	}
	both interface {
		json.Marshaler
		json.Unmarshaler
	}
)

func (e ownEvent) MarshalJSON() ([]byte, error)  { return json.Marshal([2]any{e.Time, e.Note}) }
func (e *ownEvent) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[2]any{&e.Time, &e.Note}) }
func (n noted[T]) MarshalJSON() ([]byte, error)  { return json.Marshal([2]any{n.Time, n.Note}) }
func (n *noted[T]) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &[2]any{&n.Time, &n.Note}) }
func (e ownEvent) MarshalText() ([]byte, error)  { return e.MarshalJSON() }
func (e *ownEvent) UnmarshalText(b []byte) error { return e.UnmarshalJSON(b) }
func (n noted[T]) MarshalText() ([]byte, error)  { return n.MarshalJSON() }
func (n *noted[T]) UnmarshalText(b []byte) error { return n.UnmarshalJSON(b) }
func (e halfEvent) MarshalJSON() ([]byte, error) { return json.Marshal([2]any{e.Time, e.Note}) }

// TestShown: what a struct shows comes back, by its own methods and by those of
// what it embeds.
func TestShown(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	roundTrip(t, "promoted, alone", moment{Time: at}, 20)
	roundTrip(t, "own text", ownEvent{at, "n"}, 28)
	roundTrip(t, "own methods", struct{ E ownEvent }{ownEvent{at, "n"}}, 64)
	roundTrip(t, "of a generic type", struct{ E noted[int] }{noted[int]{at, 7}}, 64)
	roundTrip(t, "promoted keys", map[moment]bool{{Time: at}: true}, 64)
	roundTrip(t, "two embedded", struct {
		base
		otherBase `json:"other"`
	}{base{"a"}, otherBase{"b"}}, 64)
	roundTrip(t, "around itself", below{[]around{{below{nil}, "n"}}}, 64)
}

// TestHiddenFields: of a struct whose fields hide each other, or are hidden by the
// methods of one of them, the rest would be lost in silence.
func TestHiddenFields(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	for name, typ := range map[string]reflect.Type{
		"promoted methods":        reflect.TypeFor[event](),
		"promoted, within":        reflect.TypeFor[struct{ First []event }](),
		"promoted, in a map":      reflect.TypeFor[map[string]event](),
		"promoted further":        reflect.TypeFor[struct{ event }](),
		"promoted text":           reflect.TypeFor[host](),
		"promoted text, key":      reflect.TypeFor[map[host]string](),
		"half promoted":           reflect.TypeFor[struct{ E halfEvent }](),
		"promoted by what is out": reflect.TypeFor[leftOut](),
		"promoted by what is named": reflect.TypeFor[struct {
			time.Time `json:"at"`
			Note      string
		}](),
		"promoted from a pointer":    reflect.TypeFor[struct{ *time.Time }](),
		"promoted from an interface": reflect.TypeFor[struct{ both }](),
		"two that hide each other": reflect.TypeFor[struct {
			time.Time
			big.Int
			Note string
		}](),
		"one name twice": reflect.StructOf([]reflect.StructField{
			{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"x"`},
			{Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"x,omitempty"`},
		}),
		"name of another": reflect.TypeFor[struct {
			A string `json:"B"`
			B string
		}](),
		"embedded twice": reflect.TypeFor[struct {
			base
			otherBase
			Other int
		}](),
		"embedded, covered": reflect.TypeFor[struct {
			base
			Street int
		}](),
		"embeds itself": reflect.TypeFor[itself](),
	} {
		if err := field.CheckType(typ); !errors.Is(err, field.ErrType) {
			t.Errorf("%s: %s: %v", name, typ, err)
		}
	}
}

type leftOut struct {
	time.Time `json:"-"`
	Note      string
}
