package field_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
)

type (
	address struct {
		Street string `json:"street"`
		Zip    string `json:"zip,omitempty"`
		Lines  []string
		Since  *time.Time
	}
	tree struct {
		Name  string
		Below []*tree
	}
	// byValue and byPointer write and read themselves.
	byValue   struct{ text string }
	byPointer struct{ text string }
	shown     struct{ Secret string }
	base      struct{ Street string }
	badMarsh  struct{ Text string }
)

func (v byValue) MarshalJSON() ([]byte, error)    { return json.Marshal(v.text) }
func (v *byValue) UnmarshalJSON(b []byte) error   { return json.Unmarshal(b, &v.text) }
func (v *byPointer) MarshalJSON() ([]byte, error) { return json.Marshal(v.text) }
func (v *byPointer) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &v.text) }
func (shown) MarshalJSON() ([]byte, error)        { return []byte(`"***"`), nil }
func (v badMarsh) MarshalJSON() ([]byte, error)   { return nil, errors.New("not " + v.Text) }
func (v *badMarsh) UnmarshalJSON(b []byte) error  { return errors.New("not " + string(b)) }

func TestJSON(t *testing.T) {
	t.Parallel()
	since := time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC)
	roundTrip(t, "struct", address{"Hauptstraße 1", "10115", []string{"c/o"}, &since}, 128)
	roundTrip(t, "zero struct", address{}, 64)
	roundTrip(t, "short and long", struct{ A, B bool }{true, false}, 64)
	roundTrip(t, "map", map[string]int{"a": 1, "b": 2}, 64)
	roundTrip(t, "map of numbers", map[int8][]float32{-1: {0.5}}, 64)
	roundTrip(t, "nil map", map[string]int(nil), 64)
	roundTrip(t, "empty map", map[string]int{}, 64)
	roundTrip(t, "tree", tree{"root", []*tree{{Name: "leaf"}}}, 64)
	roundTrip(t, "embedded", struct{ base }{base{"s"}}, 64)
	roundTrip(t, "own methods", byValue{"v"}, 64)
	roundTrip(t, "methods within", struct {
		V byValue
		P byPointer
		N *big.Int
	}{byValue{"v"}, byPointer{"p"}, big.NewInt(7)}, 64)
	roundTrip(t, "methods in a map", map[string]*byPointer{"k": {"p"}}, 64)
	roundTrip(t, "dates as keys", map[field.Date]bool{{Year: 2026, Month: 1, Day: 2}: true}, 64)
}

// TestJSONTypes refuses at declaration what would not come back.
func TestJSONTypes(t *testing.T) {
	t.Parallel()
	for name, typ := range map[string]reflect.Type{
		"hidden fields only":       reflect.TypeFor[struct{ name string }](),
		"no fields":                reflect.TypeFor[struct{}](),
		"all left out":             reflect.TypeFor[struct{ A, B int }](),
		"hidden within":            reflect.TypeFor[struct{ M sync.Mutex }](),
		"any":                      reflect.TypeFor[map[string]any](),
		"interface within":         reflect.TypeFor[struct{ E error }](),
		"channel within":           reflect.TypeFor[struct{ C []chan int }](),
		"function within":          reflect.TypeFor[map[string]func()](),
		"complex within":           reflect.TypeFor[struct{ C [2]complex64 }](),
		"field within":             reflect.TypeFor[struct{ Name field.Encrypted[string] }](),
		"pointer to a field":       reflect.TypeFor[struct{ Name *field.Encrypted[string] }](),
		"writes only":              reflect.TypeFor[shown](),
		"writes only, within":      reflect.TypeFor[map[string]shown](),
		"methods out of reach":     reflect.TypeFor[map[string]byPointer](),
		"a part hidden":            reflect.TypeFor[url.URL](), // the password
		"keys without text":        reflect.TypeFor[map[[2]int]string](),
		"keys of an interface":     reflect.TypeFor[map[fmt.Stringer]string](),
		"keys that cannot be read": reflect.TypeFor[map[oneWay]string](),
		"keys written otherwise":   reflect.TypeFor[map[hexText]string](),
		"methods that are hidden": reflect.TypeFor[struct {
			byValue  `json:"a"`
			badMarsh `json:"b"`
		}](),
		"embedded hidden pointer": reflect.TypeFor[struct{ *base }](),
	} {
		if name == "all left out" {
			typ = reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.TypeFor[int](), Tag: `json:"-"`}})
		}
		if err := field.CheckType(typ); !errors.Is(err, field.ErrType) {
			t.Errorf("%s: %s: %v", name, typ, err)
		}
	}
}

// TestJSONChanges is what Encrypted says about a struct that changed.
func TestJSONChanges(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	type before struct {
		Street string `json:"street"`
		House  string
		City   string
	}
	e := field.New(before{"S", "H", "C"})
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	type after struct {
		City    string
		Renamed string `json:"street"`
		Country string
	}
	back := loaded[after](e.Ciphertext())
	back.Attach(c, place)
	want := after{City: "C", Renamed: "S"}
	if got, err := back.Reveal(); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if !back.Equal(field.New(want)) || back.Equal(field.New(after{City: "C"})) {
		t.Error("Equal looks at the order of the members")
	}
	narrow := loaded[struct{ House int }](e.Ciphertext())
	narrow.Attach(c, place)
	if got, err := narrow.Reveal(); !errors.Is(err, field.ErrDecode) || got.House != 0 || strings.Contains(err.Error(), "H") {
		t.Errorf("got %+v, %v", got, err)
	}
	next := place
	next.Row = "43" // sealed anew, as it was: nothing is lost on the way
	if err := back.Seal(c, next); err != nil {
		t.Fatal(err)
	}
	old := loaded[before](back.Ciphertext())
	old.Attach(c, next)
	if got, err := old.Reveal(); err != nil || got.House != "H" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestJSONErrors: the errors of encoding/json and of marshalers quote values.
func TestJSONErrors(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	e := field.New(badMarsh{canary})
	if err := e.Seal(c, place); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("marshal: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"Text":"`+canary+`"}`), &e); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("unmarshal: %v", err)
	}
	for _, plain := range []string{`{"Street":"` + canary + `"`, canary, `{"Street":["` + canary + `"]}`, ""} {
		sealed := must(c.Seal(nil, []byte(plain), place))
		back := loaded[struct{ Street string }](sealed)
		back.Attach(c, place)
		if got, err := back.Reveal(); !errors.Is(err, field.ErrDecode) || strings.Contains(err.Error(), canary) || got.Street != "" {
			t.Errorf("%s: %v, %v", plain, got, err)
		}
	}
	if _, _, err := (&e).IndexText(); !errors.Is(err, field.ErrNotText) {
		t.Errorf("index text: %v", err)
	}
}

// TestJSONText: JSON has no place for bytes that are not UTF-8. Two keys would
// become one, and a text another.
func TestJSONText(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c := newCipher(t, 1)
	text, keys := field.New(address{Street: canary + "\xff"}), field.New(map[string]int{"a\xff": 1, "a\xfe": 2})
	within := field.New(struct{ V byValue }{byValue{"\xff"}})
	inKey := field.New(map[byText]int{{"\xff"}: 1})
	raw := field.New(struct{ Raw json.RawMessage }{json.RawMessage("\"\xff\"")})
	for name, s := range map[string]field.Sealable{"text": &text, "keys": &keys, "own methods": &within, "text of a key": &inKey, "raw": &raw} {
		err := s.Seal(c, place)
		if err == nil || strings.Contains(err.Error(), canary) || errors.Is(err, field.ErrType) {
			t.Errorf("%s: %v", name, err)
		}
		if s.Ciphertext() != nil {
			t.Errorf("%s: sealed all the same", name)
		}
	}
	if text.Equal(field.New(address{Street: canary + "\ufffd"})) {
		t.Error("equal to the text that would have come back")
	}
	roundTrip(t, "U+FFFD", address{Street: "\ufffd"}, 64)
	roundTrip(t, "its escape as text", address{Street: `\ufffd`}, 64)
	roundTrip(t, "escaped by a marshaler", struct{ Raw json.RawMessage }{json.RawMessage(`"\ufffd"`)}, 64)
}

// byText is a key that shows its text.
type byText struct{ text string }

func (v byText) MarshalText() ([]byte, error)  { return []byte(v.text), nil }
func (v *byText) UnmarshalText(b []byte) error { v.text = string(b); return nil }

// hexText as a key is written as it is, and read as hexadecimal.
type hexText string

func (v hexText) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, []byte(v)), nil }
func (v *hexText) UnmarshalText(b []byte) error {
	text, err := hex.DecodeString(string(b))
	*v = hexText(text)
	return err
}

func TestMarkerWithinJSON(t *testing.T) {
	t.Parallel()
	e := field.New(address{Street: field.Redacted})
	if err := e.Seal(newCipher(t, 1), place); err == nil {
		t.Error("the marker was sealed within a struct")
	}
}
