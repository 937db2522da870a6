// Package tables declares good and bad tables, for art32vet and tenancy to agree
// on what is wrong with each.
package tables

import (
	"database/sql/driver"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// Declared is what tenancy answers to each table.
func Declared() map[string]error {
	return map[string]error{
		"Good":       declare[Good](),
		"Bare":       declare[Bare](),
		"Tags":       declare[Tags](),
		"Roles":      declare[Roles](),
		"Keys":       declare[Keys](),
		"Line":       declare[Line](),
		"Fixed":      declare[Fixed](),
		"Kinds":      declare[Kinds](),
		"Sealed":     declare[Sealed](),
		"Indexes":    declare[Indexes](),
		"Documents":  declare[Documents](),
		"Shown":      declare[Shown](),
		"Plaintexts": declare[Plaintexts](),
		"Embeds":     declare[Embeds](),
		"Empty":      declare[Empty](),
		"Number":     declare[Number](),
		"Alias":      declare[Alias](),
	}
}

func declare[T any]() error {
	_, err := tenancy.NewRepository[T]("things")
	return err
}

// These show the tables to art32vet.
var (
	_, _ = tenancy.NewRepository[Good]("things")
	_, _ = tenancy.NewRepository[Bare]("things")
	_, _ = tenancy.NewRepository[Tags]("things")
	_, _ = tenancy.NewRepository[Roles]("things")
	_, _ = tenancy.NewRepository[Keys]("things")
	_, _ = tenancy.NewRepository[Line]("things")
	_, _ = tenancy.NewRepository[Fixed]("things")
	_, _ = tenancy.NewRepository[Kinds]("things")
	_, _ = tenancy.NewRepository[Sealed]("things")
	_, _ = tenancy.NewRepository[Indexes]("things")
	_, _ = tenancy.NewRepository[Documents]("things")
	_, _ = tenancy.NewRepository[Shown]("things")
	_, _ = tenancy.NewRepository[Plaintexts]("things")
	_, _ = tenancy.NewRepository[Embeds]("things")
	_, _ = tenancy.NewRepository[Empty]("things")
	_, _ = tenancy.NewRepository[Number]("things")
	_, _ = tenancy.NewRepository[Alias]("things")
)

type (
	// MyID converts to a UUID.
	MyID uuid.UUID
	// Word is a string by another name.
	Word string
	// Number64 is a number by another name.
	Number64 int64
	// Stored is a string that stores itself as something else.
	Stored string
	// Scanned is a number that is read in its own way.
	Scanned int64
	// ByValue stores itself.
	ByValue struct{ n int }
	// ByPointer has its Value on the pointer only.
	ByPointer struct{ n int }
	// Secret is a field of its own name.
	Secret struct{ field.Encrypted[string] }
	// Short is an alias.
	Short = field.Encrypted[string]
)

// Value implements driver.Valuer.
func (v ByValue) Value() (driver.Value, error) { return int64(v.n), nil }

// Scan implements sql.Scanner.
func (v *ByValue) Scan(src interface{}) error { return nil }

// Value implements driver.Valuer.
func (s Stored) Value() (driver.Value, error) { return string(s), nil }

// Scan implements sql.Scanner.
func (s *Scanned) Scan(src any) error { return nil }

// Value implements driver.Valuer, on the pointer.
func (v *ByPointer) Value() (driver.Value, error) { return int64(v.n), nil }

// Scan implements sql.Scanner.
func (v *ByPointer) Scan(src any) error { return nil }

// Good is as it should be.
type Good struct {
	ID       MyID                    `db:"id"        art32:"key,subject"`
	Tenant   tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email    field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email"`
	Phone    Short                   `db:"phone"     art32:"unique=phone_bidx:digits"`
	Name     field.Encrypted[Word]   `db:"name"      art32:"index=name_bidx:casefold,rows=1000"`
	Born     *time.Time              `db:"born"      art32:"personal"`
	Plan     string                  `db:"plan"      art32:"open"`
	Local    chan int                `db:"-"`
	Explicit uuid.UUID               `db:"explicit"  art32:"open"`
}

// Alias is Good by another name.
type Alias = Good

// Bare has a column without class.
type Bare struct {
	ID     uuid.UUID  `db:"id"        art32:"key"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
	City   string     `db:"city"`
}

// Tags has every mistake of a tag.
type Tags struct {
	Word   string     `db:"word"  art32:"opne"`
	Upper  string     `db:"upper" art32:"Open"`
	Blank  string     `db:"blank" art32:" open"`
	Comma  string     `db:"comma" art32:"open,"`
	Both   string     `db:"both"  art32:"open,personal"`
	Same   string     `db:"same"  art32:"open,open"`
	Value  string     `db:"value" art32:"open=yes"`
	NoDB   string     `art32:"open"`
	NoName string     `db:""      art32:"open"`
	Quoted string     `db:"a\"b"  art32:"open"`
	hidden string     `db:"hidden" art32:"open"`
	Twice  string     `db:"word"  art32:"open"`
	Tenant tenancy.ID `db:"tenant_id" art32:"tenant,open"`
	KeyToo uuid.UUID  `db:"key_too" art32:"key,personal"`
}

// Roles has every mistake of a role.
type Roles struct {
	ID       string     `db:"id"       art32:"key"`
	Bytes    []byte     `db:"bytes"    art32:"key"`
	Long     [17]byte   `db:"long"     art32:"subject"`
	Key      [16]byte   `db:"key"      art32:"key"`
	Second   uuid.UUID  `db:"second"   art32:"key"`
	Tenant   uuid.UUID  `db:"tenant"   art32:"tenant"`
	Subject  int        `db:"subject"  art32:"subject"`
	Pointer  *uuid.UUID `db:"pointer"  art32:"subject"`
	Subject1 MyID       `db:"subject1" art32:"subject"`
	Subject2 MyID       `db:"subject2" art32:"subject"`
	Count    int        `db:"count"    art32:"version"`
	Version  int64      `db:"version"  art32:"version"`
	Version2 int64      `db:"version2" art32:"version"`
}

// Keys has every type of a key, and every mistake of one.
type Keys struct {
	ID      MyID                    `db:"a" art32:"key,subject"`
	Text    string                  `db:"b" art32:"key,open"`
	Word    Word                    `db:"c" art32:"open,key"`
	Int     int                     `db:"d" art32:"key"`
	Int32   rune                    `db:"e" art32:"key"`
	Int64   Number64                `db:"f" art32:"key"`
	Int16   int16                   `db:"g" art32:"key"`
	Uint32  uint32                  `db:"h" art32:"key"`
	Bool    bool                    `db:"i" art32:"key"`
	Time    time.Time               `db:"j" art32:"key"`
	Pointer *string                 `db:"k" art32:"key"`
	Stored  Stored                  `db:"l" art32:"key"`
	Scanned Scanned                 `db:"m" art32:"key"`
	Twice   string                  `db:"n" art32:"key,key"`
	Before  string                  `db:"o" art32:"personal,key"`
	Behind  string                  `db:"p" art32:"key,personal"`
	Sealed  field.Encrypted[string] `db:"q" art32:"key"`
	Indexed string                  `db:"r" art32:"key,index=i:exact"`
}

// Fixed has columns for a key that are none.
type Fixed struct {
	Tenant  tenancy.ID `db:"tenant_id" art32:"tenant,key"`
	Version int64      `db:"version"   art32:"key,version"`
	Order   MyID       `db:"order_id"  art32:"key"`
}

// Line has a key of several columns.
type Line struct {
	Tenant   tenancy.ID `db:"tenant_id" art32:"tenant"`
	Order    MyID       `db:"order_id"  art32:"key"`
	Position int32      `db:"position"  art32:"key"`
	Word     Word       `db:"word"      art32:"key"`
}

// Kinds has every kind of plain column.
type Kinds struct {
	ID        uuid.UUID      `db:"id"        art32:"key"`
	Tenant    tenancy.ID     `db:"tenant_id" art32:"tenant"`
	Bool      bool           `db:"a" art32:"open"`
	Int       int            `db:"b" art32:"open"`
	Int64     int64          `db:"c" art32:"open"`
	Uint      uint           `db:"d" art32:"open"`
	Uint32    uint32         `db:"e" art32:"open"`
	Uint64    uint64         `db:"f" art32:"open"`
	Float32   float32        `db:"g" art32:"open"`
	Complex   complex128     `db:"h" art32:"open"`
	Bytes     []byte         `db:"i" art32:"open"`
	Strings   []string       `db:"j" art32:"open"`
	Map       map[string]int `db:"k" art32:"open"`
	Any       any            `db:"l" art32:"open"`
	Func      func()         `db:"m" art32:"open"`
	Word      Word           `db:"n" art32:"open"`
	Pointer   *string        `db:"o" art32:"open"`
	Twice     **string       `db:"p" art32:"open"`
	ByValue   ByValue        `db:"q" art32:"open"`
	ByPointer ByPointer      `db:"r" art32:"open"`
	PtrValue  *ByValue       `db:"s" art32:"open"`
	URL       url.URL        `db:"t" art32:"open"`
	Array     [4]byte        `db:"u" art32:"open"`
	Time      time.Time      `db:"v" art32:"open"`
	NullUUID  uuid.NullUUID  `db:"w" art32:"open"`
}

// Sealed has every kind of encrypted column.
type Sealed struct {
	ID       uuid.UUID                   `db:"id"        art32:"key"`
	Tenant   tenancy.ID                  `db:"tenant_id" art32:"tenant"`
	Bool     field.Encrypted[bool]       `db:"a"`
	Uint     field.Encrypted[uint]       `db:"b"`
	Float32  field.Encrypted[float32]    `db:"c"`
	Bytes    field.Encrypted[[]byte]     `db:"d"`
	Strings  field.Encrypted[[]string]   `db:"e"`
	Pointer  field.Encrypted[*string]    `db:"f"`
	Any      field.Encrypted[any]        `db:"g"`
	Addr     field.Encrypted[netip.Addr] `db:"h"`
	URL      field.Encrypted[url.URL]    `db:"i"`
	Time     field.Encrypted[time.Time]  `db:"j"`
	Open     field.Encrypted[string]     `db:"k" art32:"open"`
	Embedded Secret                      `db:"l"`
	Float64  field.Encrypted[float64]    `db:"f64"`
	Uintptr  field.Encrypted[uintptr]    `db:"uptr"`
	Date     field.Encrypted[field.Date] `db:"date"`
	OneWay   field.Encrypted[OneWay]     `db:"one_way"`
	PtrField *field.Encrypted[string]    `db:"m"`
	PtrOpen  *field.Encrypted[string]    `db:"n" art32:"open"`
}

// Documents has every kind of column that is encrypted as JSON.
type Documents struct {
	ID        uuid.UUID                                     `db:"id"        art32:"key"`
	Tenant    tenancy.ID                                    `db:"tenant_id" art32:"tenant"`
	Struct    field.Encrypted[Address]                      `db:"a"`
	Tree      field.Encrypted[Tree]                         `db:"b"`
	Map       field.Encrypted[map[string]int]               `db:"c"`
	Keys      field.Encrypted[map[int8][]float32]           `db:"d"`
	TextKeys  field.Encrypted[map[field.Date]bool]          `db:"e"`
	Own       field.Encrypted[OwnJSON]                      `db:"f"`
	OwnPtr    field.Encrypted[map[string]*PtrJSON]          `db:"g"`
	OwnField  field.Encrypted[struct{ P PtrJSON }]          `db:"h"`
	Base      field.Encrypted[Derived]                      `db:"i"`
	NotSeen   field.Encrypted[Hidden]                       `db:"bad_a"`
	Nothing   field.Encrypted[Blank]                        `db:"bad_b"`
	Anys      field.Encrypted[map[string]any]               `db:"bad_c"`
	Within    field.Encrypted[Outer]                        `db:"bad_d"`
	Field     field.Encrypted[Nested]                       `db:"bad_e"`
	Out       field.Encrypted[OutJSON]                      `db:"bad_f"`
	OutOf     field.Encrypted[map[string]OneWay]            `db:"bad_g"`
	NoReach   field.Encrypted[map[string]PtrJSON]           `db:"bad_h"`
	BadKeys   field.Encrypted[map[[2]int]string]            `db:"bad_i"`
	WordKeys  field.Encrypted[map[OneWay]string]            `db:"bad_j"`
	AnyKeys   field.Encrypted[map[any]string]               `db:"bad_k"`
	Pointer   field.Encrypted[HiddenBase]                   `db:"bad_l"`
	Left      field.Encrypted[Left]                         `db:"bad_m"`
	Funcs     field.Encrypted[map[string]func()]            `db:"bad_n"`
	Complexes field.Encrypted[map[string][2]complex64]      `db:"bad_o"`
	Deep      field.Encrypted[map[string][]*map[int][]Late] `db:"bad_p"`
}

// Shown has every way in which fields of a struct come to show, or not.
type Shown struct {
	ID        uuid.UUID                          `db:"id"        art32:"key"`
	Tenant    tenancy.ID                         `db:"tenant_id" art32:"tenant"`
	Alone     field.Encrypted[Moment]            `db:"a"`
	Own       field.Encrypted[OwnEvent]          `db:"b"`
	Generic   field.Encrypted[Noted[int]]        `db:"c"`
	Tagged    field.Encrypted[TaggedBase]        `db:"d"`
	Around    field.Encrypted[Around]            `db:"e"`
	BadTag    field.Encrypted[BadTag]            `db:"f"`
	Keys      field.Encrypted[map[Moment]string] `db:"g"`
	Event     field.Encrypted[Event]             `db:"bad_a"`
	Within    field.Encrypted[[]Outermost]       `db:"bad_b"`
	WithinMap field.Encrypted[map[string]Event]  `db:"bad_c"`
	Host      field.Encrypted[Host]              `db:"bad_d"`
	HostKeys  field.Encrypted[map[Host]string]   `db:"bad_e"`
	Twice     field.Encrypted[Twice]             `db:"bad_f"`
	Embedded  field.Encrypted[TwoBases]          `db:"bad_g"`
	Covered   field.Encrypted[Covered]           `db:"bad_h"`
	Pointer   field.Encrypted[PtrMoment]         `db:"bad_i"`
	Both      field.Encrypted[TwoMarshalers]     `db:"bad_j"`
	Half      field.Encrypted[HalfEvent]         `db:"bad_k"`
	LeftOut   field.Encrypted[LeftMoment]        `db:"bad_l"`
	Further   field.Encrypted[Further]           `db:"bad_m"`
	Itself    field.Encrypted[Itself]            `db:"bad_n"`
	Named     field.Encrypted[NamedMoment]       `db:"bad_o"`
	Interface field.Encrypted[Marshalers]        `db:"bad_p"`
}

type (
	// Moment is written by what it embeds, and is nothing more.
	Moment struct {
		time.Time
		hidden int
		Left   string `json:"-"`
	}
	// Event has a note that the methods of its time do not know.
	Event struct {
		time.Time
		Note string
	}
	// OwnEvent has methods of its own, HalfEvent one of two.
	OwnEvent struct {
		time.Time
		Note string
	}
	// HalfEvent is read by its time alone.
	HalfEvent struct {
		time.Time
		Note string
	}
	// Noted has methods of its own for every T.
	Noted[T any] struct {
		time.Time
		Note T
	}
	// Outermost has an Event.
	Outermost struct {
		Name  string
		First Event
	}
	// Further embeds an Event.
	Further struct{ Event }
	// Host has a port that the methods for text do not know.
	Host struct {
		netip.Addr
		Port int
	}
	// Twice has one name for two fields.
	Twice struct {
		A string `json:"x"`
		B string `json:"x,omitempty"`
		C int
	}
	otherBase struct{ Street string }
	// TwoBases has it by embedding.
	TwoBases struct {
		base
		otherBase
		Other int
	}
	// Covered hides a field of what it embeds.
	Covered struct {
		base
		Street int
	}
	// TaggedBase embeds two, one under a name.
	TaggedBase struct {
		base
		otherBase `json:"other"`
	}
	// PtrMoment has methods behind a pointer.
	PtrMoment struct{ *time.Time }
	// TwoMarshalers embeds two of which neither speaks.
	TwoMarshalers struct {
		OwnJSON
		PtrJSON
		Note string
	}
	// LeftMoment is written by what it leaves out.
	LeftMoment struct {
		time.Time `json:"-"`
		Note      string
	}
	// NamedMoment is written by its time, its name notwithstanding.
	NamedMoment struct {
		time.Time `json:"at"`
		Note      string
	}
	// Itself embeds itself.
	Itself struct {
		*Itself
		Note string
	}
	// Marshalers has the methods of whatever it holds.
	Marshalers struct{ Both }
	// Both writes and reads.
	Both interface {
		MarshalJSON() ([]byte, error)
		UnmarshalJSON(data []byte) error
	}
	// Around holds itself behind a slice, and what holds it embeds it.
	Around struct{ Below []AroundIt }
	// AroundIt embeds what holds it.
	AroundIt struct {
		Around
		Note string
	}
	// BadTag has two tags that encoding/json passes over.
	BadTag struct {
		A string `json:"\"x\""`
		B string `json:"\"x\""`
	}
)

// MarshalJSON implements json.Marshaler.
func (v OwnEvent) MarshalJSON() ([]byte, error) { return nil, nil }

// UnmarshalJSON implements json.Unmarshaler.
func (v *OwnEvent) UnmarshalJSON(data []byte) error { return nil }

// MarshalText implements encoding.TextMarshaler.
func (v OwnEvent) MarshalText() ([]byte, error) { return nil, nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *OwnEvent) UnmarshalText(text []byte) error { return nil }

// MarshalJSON implements json.Marshaler.
func (v HalfEvent) MarshalJSON() ([]byte, error) { return nil, nil }

// MarshalText implements encoding.TextMarshaler.
func (v HalfEvent) MarshalText() ([]byte, error) { return nil, nil }

// MarshalText implements encoding.TextMarshaler.
func (v Noted[T]) MarshalText() ([]byte, error) { return nil, nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Noted[T]) UnmarshalText(text []byte) error { return nil }

type (
	// Address is stored as JSON.
	Address struct {
		Street string `json:"street"`
		Since  *time.Time
		Lines  []string
		hidden int
		Left   chan int `json:"-"`
	}
	// Tree holds itself.
	Tree struct{ Below []*Tree }
	// OwnJSON writes and reads itself, PtrJSON by its pointer, OutJSON only writes.
	OwnJSON struct{ text string }
	// PtrJSON has both methods on the pointer.
	PtrJSON struct{ text string }
	// OutJSON cannot be read.
	OutJSON struct{ Text string }
	// OneWay has a text that cannot be read.
	OneWay string
	base   struct{ Street string }
	// Derived embeds a struct whose fields show.
	Derived struct{ base }
	// HiddenBase embeds a pointer that encoding/json cannot set.
	HiddenBase struct{ *base }
	// Hidden shows nothing.
	Hidden struct{ name string }
	// Outer has such a field.
	Outer struct {
		Name string
		H    Hidden
	}
	// Nested has an encrypted field.
	Nested struct{ Name field.Encrypted[string] }
	// Blank has nothing to show.
	Blank struct{}
	// Left leaves all out.
	Left struct {
		A int `json:"-"`
	}
	// Late fails deep within.
	Late struct{ C chan int }
)

// MarshalJSON implements json.Marshaler.
func (v OwnJSON) MarshalJSON() ([]byte, error) { return nil, nil }

// UnmarshalJSON implements json.Unmarshaler.
func (v *OwnJSON) UnmarshalJSON(data []byte) error { return nil }

// MarshalJSON implements json.Marshaler, on the pointer.
func (v *PtrJSON) MarshalJSON() ([]byte, error) { return nil, nil }

// UnmarshalJSON implements json.Unmarshaler.
func (v *PtrJSON) UnmarshalJSON(data []byte) error { return nil }

// MarshalJSON implements json.Marshaler.
func (v OutJSON) MarshalJSON() ([]byte, error) { return nil, nil }

// MarshalText implements encoding.TextMarshaler.
func (v OneWay) MarshalText() ([]byte, error) { return nil, nil }

// Plaintexts has every mistake of a migration, and a prefix.
type Plaintexts struct {
	ID     uuid.UUID                   `db:"id"        art32:"key"`
	Tenant tenancy.ID                  `db:"tenant_id" art32:"tenant"`
	Good   field.Encrypted[string]     `db:"good"   art32:"plaintext=2026-12-31"`
	Both   field.Encrypted[string]     `db:"both"   art32:"plaintext=2026-12-31,index=both_bidx:prefix:4,rows=1000"`
	Number field.Encrypted[int]        `db:"number" art32:"index=n:email,plaintext=2020-02-29"`
	None   field.Encrypted[string]     `db:"none"   art32:"plaintext"`
	Empty  field.Encrypted[string]     `db:"empty"  art32:"plaintext="`
	Form   field.Encrypted[string]     `db:"form"   art32:"plaintext=31.12.2026"`
	NoDay  field.Encrypted[string]     `db:"no_day" art32:"plaintext=2026-02-30"`
	Far    field.Encrypted[string]     `db:"far"    art32:"plaintext=9999-12-31"`
	Twice  field.Encrypted[string]     `db:"twice"  art32:"plaintext=2026-12-31,plaintext=2026-12-30"`
	Open   string                      `db:"open"   art32:"open,plaintext=2026-12-31"`
	First  string                      `db:"first"  art32:"plaintext=2026-12-31,open"`
	Long   field.Encrypted[string]     `db:"long"   art32:"index=long_bidx:prefix:65"`
	Zero   field.Encrypted[string]     `db:"zero"   art32:"index=zero_bidx:prefix:04"`
	Unset  field.Encrypted[string]     `db:"unset"  art32:"index=unset_bidx:prefix"`
	Unique field.Encrypted[netip.Addr] `db:"uniq"  art32:"unique=uniq_bidx:prefix:4"`
}

// Indexes has every mistake of a blind index.
type Indexes struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Plain  string                  `db:"plain"  art32:"open,index=i1:email"`
	First  string                  `db:"first"  art32:"index=i2:email,open"`
	How    field.Encrypted[string] `db:"how"    art32:"index=i3:sounds"`
	Form   field.Encrypted[string] `db:"form"   art32:"index=i4"`
	Name   field.Encrypted[string] `db:"name"   art32:"index=I:email"`
	Rows   field.Encrypted[string] `db:"rows"   art32:"index=i5:email,rows=few"`
	Few    field.Encrypted[string] `db:"few"    art32:"index=i6:email,rows=3"`
	Before field.Encrypted[string] `db:"before" art32:"rows=100,index=i7:email"`
	Unique field.Encrypted[string] `db:"uniq"   art32:"unique=i8:email,rows=100"`
	Taken  field.Encrypted[string] `db:"taken"  art32:"index=plain:email"`
	Once   field.Encrypted[string] `db:"once"   art32:"index=i9:exact"`
	Again  field.Encrypted[string] `db:"again"  art32:"index=i9:exact"`
}

// Embeds has a struct within.
type Embeds struct {
	Good

	Other uuid.UUID `db:"other" art32:"key"`
}

// Empty has nothing.
type Empty struct{}

// Number is no struct.
type Number int
