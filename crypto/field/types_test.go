package field_test

import (
	"errors"
	"math"
	"math/big"
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

// decimal is a number of two places, as packages for decimals have them.
type decimal struct{ rat *big.Rat }

func (d decimal) MarshalText() ([]byte, error) { return []byte(d.rat.FloatString(2)), nil }

func (d *decimal) UnmarshalText(text []byte) error {
	rat, ok := new(big.Rat).SetString(string(text))
	if !ok {
		return errors.New("no decimal: " + string(text))
	}
	d.rat = rat
	return nil
}

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
	roundTrip(t, "float32", float32(-0.1), 8)
	roundTrip(t, "smallest float32", float32(math.SmallestNonzeroFloat32), 8)
	roundTrip(t, "float64", -0.1, 8)
	roundTrip(t, "infinity", math.Inf(-1), 8)
	roundTrip(t, "time", time.Date(1962, 2, 3, 4, 5, 6, 7, time.UTC), 12)
	roundTrip(t, "zero time", time.Time{}, 12)
	roundTrip(t, "date", field.Date{Year: 1985, Month: time.March, Day: 1}, 10)
	roundTrip(t, "decimal", decimal{big.NewRat(-1234, 100)}, 6)
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
		reflect.TypeFor[*string](), reflect.TypeFor[any](), reflect.TypeFor[error](),
		reflect.TypeFor[[]string](), reflect.TypeFor[[4]byte](), reflect.TypeFor[chan int](), reflect.TypeFor[complex128](),
		reflect.TypeFor[func()](), reflect.TypeFor[uintptr](), reflect.TypeFor[field.Encrypted[string]](), reflect.TypeFor[oneWay](),
	} {
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
	e := field.New(struct{ name string }{"canary"})
	if err := e.Seal(newCipher(t, 1), place); !errors.Is(err, field.ErrType) {
		t.Errorf("seal: %v", err)
	}
}

// oneWay shows itself and cannot be read.
type oneWay string

func (oneWay) MarshalText() ([]byte, error) { return []byte("***"), nil }

func TestOtherType(t *testing.T) {
	t.Parallel()
	c := newCipher(t, 1)
	e := field.New(int64(1) << 40)
	if err := e.Seal(c, place); err != nil {
		t.Fatal(err)
	}
	narrow, flag := loaded[int8](e.Ciphertext()), loaded[bool](e.Ciphertext())
	half, person := loaded[float32](e.Ciphertext()), loaded[struct{ Name string }](e.Ciphertext())
	at, id := loaded[time.Time](e.Ciphertext()), loaded[uuid.UUID](e.Ciphertext())
	for _, s := range []field.Sealable{&narrow, &flag, &at, &id, &half, &person} {
		s.Attach(c, place)
	}
	for name, reveal := range map[string]func() error{
		"narrow": func() error { _, err := narrow.Reveal(); return err },
		"bool":   func() error { _, err := flag.Reveal(); return err },
		"time":   func() error { _, err := at.Reveal(); return err },
		"text":   func() error { _, err := id.Reveal(); return err },
		"json":   func() error { _, err := person.Reveal(); return err },
		"float":  func() error { _, err := half.Reveal(); return err },
	} {
		if err := reveal(); !errors.Is(err, field.ErrDecode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
