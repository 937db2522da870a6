package field_test

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/google/uuid"
)

type (
	colour string
	blob   []byte
	level  int16
)

// roundTrip seals v, loads it as from a database and reveals it.
func roundTrip[T any](t *testing.T, name string, v T, size int) {
	t.Helper()
	c := newCipher(t, 1)
	e := field.New(v)
	if err := e.Seal(c, place); err != nil {
		t.Errorf("%s: seal: %v", name, err)
		return
	}
	if got := len(e.Ciphertext()) - field.Overhead; got != size {
		t.Errorf("%s: encoding of %d bytes, want %d", name, got, size)
	}
	var back field.Encrypted[T]
	if err := back.Scan(e.Ciphertext()); err != nil {
		t.Fatal(err)
	}
	back.Attach(c, place)
	got, err := back.Reveal()
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%s: revealed %v, %v; want %v", name, got, err, v)
	}
	if !back.Equal(e) || !e.Equal(back) {
		t.Errorf("%s: not equal to itself", name)
	}
}

func TestTypes(t *testing.T) {
	t.Parallel()
	roundTrip(t, "string", "Jürgen", 7)
	roundTrip(t, "empty string", "", 0)
	roundTrip(t, "invalid UTF-8 and NUL", "a\x00\xff", 3)
	roundTrip(t, "bytes", []byte{0, 1, 2}, 3)
	roundTrip(t, "empty bytes", []byte{}, 0)
	roundTrip(t, "named string", colour("rot"), 3)
	roundTrip(t, "named bytes", blob("rot"), 3)
	roundTrip(t, "true", true, 1)
	roundTrip(t, "false", false, 1)
	roundTrip(t, "int", -1, 8)
	roundTrip(t, "int8", int8(math.MinInt8), 8)
	roundTrip(t, "named int16", level(300), 8)
	roundTrip(t, "int32", int32(math.MaxInt32), 8)
	roundTrip(t, "int64", int64(math.MinInt64), 8)
	roundTrip(t, "uint", uint(1), 8)
	roundTrip(t, "uint8", uint8(255), 8)
	roundTrip(t, "uint64", uint64(math.MaxUint64), 8)
	roundTrip(t, "float64", -0.1, 8)
	roundTrip(t, "infinity", math.Inf(-1), 8)
	roundTrip(t, "time", time.Date(1962, 2, 3, 4, 5, 6, 7, time.UTC), 12)
	roundTrip(t, "zero time", time.Time{}, 12)
	roundTrip(t, "text marshaler", uuid.MustParse("6f1d2c1e-52a5-4a53-9d0e-0f1f4a3f6b01"), 36)
	roundTrip(t, "text marshaler of a struct", netip.MustParseAddr("2001:db8::1"), 11)
}

func TestTimeComesBackInUTC(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	local := time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("CET", 3600))
	e := field.New(local)
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	back := loaded[time.Time](e.Ciphertext())
	back.Attach(c, place)
	if got, err := back.Reveal(); err != nil || !got.Equal(local) || got.Location() != time.UTC {
		t.Errorf("got %v, %v", got, err)
	}
}

func loaded[T any](ciphertext []byte) (e field.Encrypted[T]) {
	e.Load(ciphertext)
	return e
}

func TestUnsupportedTypes(t *testing.T) {
	t.Parallel()
	for _, typ := range []reflect.Type{
		reflect.TypeFor[struct{ A string }](), reflect.TypeFor[*string](), reflect.TypeFor[any](), reflect.TypeFor[error](),
		reflect.TypeFor[map[string]string](), reflect.TypeFor[[]string](), reflect.TypeFor[chan int](), reflect.TypeFor[complex128](),
		reflect.TypeFor[func()](), reflect.TypeFor[field.Encrypted[string]](), reflect.TypeFor[float32](), nil,
	} {
		if typ == nil {
			continue
		}
		want := field.ErrType
		if typ == reflect.TypeFor[field.Encrypted[string]]() {
			want = nil // the field itself: its T is asked
		}
		if err := field.CheckType(typ); !errors.Is(err, want) {
			t.Errorf("%s: %v", typ, err)
		}
	}
	if err := field.CheckType(reflect.TypeFor[field.Encrypted[chan int]]()); !errors.Is(err, field.ErrType) {
		t.Errorf("field of a channel: %v", err)
	}
	if err := field.Supports[field.Encrypted[field.Encrypted[string]]](); !errors.Is(err, field.ErrType) {
		t.Errorf("field of a field: %v", err)
	}
	e := field.New(struct{ Name string }{"canary"})
	if err := e.Seal(newCipher(t, 1), place); !errors.Is(err, field.ErrType) {
		t.Errorf("seal: %v", err)
	}
}

func TestOtherType(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	e := field.New(int64(1) << 40)
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	narrow, flag := loaded[int8](e.Ciphertext()), loaded[bool](e.Ciphertext())
	at, id := loaded[time.Time](e.Ciphertext()), loaded[uuid.UUID](e.Ciphertext())
	for _, s := range []field.Sealable{&narrow, &flag, &at, &id} {
		s.Attach(c, place)
	}
	for name, reveal := range map[string]func() error{
		"narrow": func() error { _, err := narrow.Reveal(); return err },
		"bool":   func() error { _, err := flag.Reveal(); return err },
		"time":   func() error { _, err := at.Reveal(); return err },
		"text":   func() error { _, err := id.Reveal(); return err },
	} {
		if err := reveal(); !errors.Is(err, field.ErrDecode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNull(t *testing.T) {
	t.Parallel()
	var e field.Encrypted[string]
	c := newCipher(t, 1)
	if err := errors.Join(e.Seal(c, place), e.Seal(nil, place), e.Scan(nil)); err != nil {
		t.Error(err)
	}
	e.Attach(nil, place)
	if v, err := e.Reveal(); v != "" || err != nil {
		t.Errorf("reveal: %q, %v", v, err)
	}
	if v, err := e.Value(); v != nil || err != nil {
		t.Errorf("value: %v, %v", v, err)
	}
	if v, err := e.RevealAny(); v != nil || err != nil {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if !e.IsNull() || e.Fresh() || e.Ciphertext() != nil {
		t.Error("not NULL")
	}
	if empty := field.New(""); empty.IsNull() || empty.Equal(e) || e.Equal(empty) || !e.Equal(field.Encrypted[string]{}) {
		t.Error("NULL and empty are not told apart")
	}
	if _, ok, err := e.IndexText(); ok || err != nil {
		t.Errorf("index text: %t, %v", ok, err)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	c, e := newCipher(t, 1), field.New("a@example.org")
	if _, err := e.Value(); !errors.Is(err, field.ErrUnsealed) || !e.Fresh() {
		t.Errorf("fresh: %v", err)
	}
	if err := e.Seal(nil, place); !errors.Is(err, field.ErrErased) {
		t.Errorf("sealed without a key: %v", err)
	}
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	if v, err := e.Value(); err != nil || len(v.([]byte)) == 0 || !e.Fresh() {
		t.Errorf("sealed: %v", err)
	}
	if v, err := e.Reveal(); v != "a@example.org" || err != nil {
		t.Errorf("sealed, revealed: %q, %v", v, err)
	}
	back := loaded[string](e.Ciphertext())
	if _, err := back.Reveal(); !errors.Is(err, field.ErrUnattached) || back.Fresh() {
		t.Errorf("raw: %v", err)
	}
	if err := back.Seal(c, place); !errors.Is(err, field.ErrUnattached) {
		t.Errorf("raw, sealed: %v", err)
	}
	if v, err := back.Value(); err != nil || len(v.([]byte)) == 0 {
		t.Errorf("raw, written back: %v", err)
	}
	if back.Equal(back) {
		t.Error("what nobody can read equals something")
	}
}

func TestErased(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	c, e := newCipher(t, 1), field.New("a@example.org")
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	gone := loaded[string](e.Ciphertext())
	gone.Attach(nil, place)
	if v, err := gone.Reveal(); v != "" || !errors.Is(err, field.ErrErased) {
		t.Errorf("reveal: %q, %v", v, err)
	}
	if v, err := gone.RevealAny(); v != nil || !errors.Is(err, field.ErrErased) {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if v, err := e.RevealAny(); v != "a@example.org" || err != nil {
		t.Errorf("reveal any: %v, %v", v, err)
	}
	if gone.IsNull() || gone.Equal(gone) || gone.Equal(e) || e.Equal(gone) {
		t.Error("an erased field equals something")
	}
	if err := gone.Seal(c, place); !errors.Is(err, field.ErrErased) {
		t.Errorf("seal: %v", err)
	}
	if _, _, err := gone.IndexText(); !errors.Is(err, field.ErrErased) {
		t.Errorf("index text: %v", err)
	}
	if v, err := gone.Value(); err != nil || v == nil {
		t.Errorf("the row stands: %v, %v", v, err)
	}
}

func TestSealAnew(t *testing.T) {
	t.Parallel()
	one, two := newCipher(t, 1), newCipher(t, 2)
	e := field.New("v")
	if err := e.Seal(one, place); err != nil {
		t.Fatal(err)
	}
	first := e.Ciphertext()
	if err := e.Seal(newCipher(t, 1), place); err != nil || &e.Ciphertext()[0] != &first[0] {
		t.Errorf("the same key and place: sealed anew, %v", err)
	}
	back := loaded[string](first)
	back.Attach(one, place)
	elsewhere := place
	elsewhere.Row = "43"
	for name, to := range map[string]struct {
		c *field.Cipher
		s field.Scope
	}{"row": {one, elsewhere}, "key": {two, place}} {
		moved := back
		if err := moved.Seal(to.c, to.s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := moved.Reveal(); v != "v" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
		if _, err := to.c.Open(nil, moved.Ciphertext(), to.s); err != nil {
			t.Errorf("%s: not under the new key and place: %v", name, err)
		}
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	c, e := newCipher(t, 1), field.New("v")
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	row := append([]byte(nil), e.Ciphertext()...)
	var back field.Encrypted[string]
	if err := back.Scan(row); err != nil {
		t.Fatal(err)
	}
	clear(row) // the driver reuses it
	back.Attach(c, place)
	if v, err := back.Reveal(); v != "v" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	for _, src := range []any{"text", 1, true} {
		if err := back.Scan(src); err == nil {
			t.Errorf("%T accepted", src)
		}
	}
}
