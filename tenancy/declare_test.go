package tenancy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// good is the least that a table needs.
type good struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email"`
	Born   *time.Time              `db:"born"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
	Local  chan int                `db:"-"`
}

// bad has a mistake in every field, and neither key nor tenant.
type bad struct {
	ID      []byte                  `db:"id"        art32:"key"`
	Tenant  uuid.UUID               `db:"tenant_id" art32:"tenant"`
	Subject int                     `db:"subject"   art32:"subject"`
	Bare    string                  `db:"bare"`
	Word    string                  `db:"word"      art32:"opne"`
	Both    string                  `db:"both"      art32:"open,personal"`
	Index   string                  `db:"index"     art32:"open,index=i:email"`
	How     field.Encrypted[string] `db:"how"       art32:"index=i:sounds"`
	Form    field.Encrypted[string] `db:"form"      art32:"index=i"`
	Rows    field.Encrypted[string] `db:"rows"      art32:"index=i:email,rows=few"`
	Few     field.Encrypted[string] `db:"few"       art32:"index=i:email,rows=3"`
	Chan    chan int                `db:"chan"      art32:"open"`
	Untaged string                  `art32:"open"`
	hidden  string                  `db:"hidden"    art32:"open"` //nolint:unused // what is tested
	Name    string                  `db:"Na\"me"    art32:"open"`
	Twice   string                  `db:"word"      art32:"open"`
}

func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-8.1")
	_, err := tenancy.NewRepository[bad]("bad")
	if err == nil {
		t.Fatal("declared")
	}
	for _, want := range []string{
		"field ID", "field Tenant", "field Subject", "field Bare", "field Word", "field Both", "field Index", "field How", "field Form",
		"field Rows", "field Few", "field Chan", "field Untaged", "field hidden", "field Name", "field Twice", `"key"`, `"tenant"`, `"opne"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in: %v", want, err)
		}
	}
}

// Each of these is one mistake.
type (
	twoKeys struct {
		good

		Other uuid.UUID `db:"other" art32:"key"`
	}
	onlyKey struct {
		ID uuid.UUID `db:"id" art32:"key"`
	}
)

// Each of these is a key that is none.
type (
	personalKey struct {
		Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
		Email  string     `db:"email"     art32:"key,personal"`
	}
	personalFirst struct {
		Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
		Email  string     `db:"email"     art32:"personal,key"`
	}
	sealedKey struct {
		Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
		Email  field.Encrypted[string] `db:"email"     art32:"key"`
	}
	nullKey struct {
		Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
		Name   *string    `db:"name"      art32:"key"`
	}
	ownForm struct {
		Tenant tenancy.ID `db:"tenant_id" art32:"tenant"`
		Gender gender     `db:"gender"    art32:"key"`
	}
)

// TestNoKeys: what is personal, may be NULL, or has a form of its own, names no row.
func TestNoKeys(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for name, err := range map[string]error{
		"personal": second(tenancy.NewRepository[personalKey]("keys")), "personal first": second(tenancy.NewRepository[personalFirst]("keys")),
		"encrypted": second(tenancy.NewRepository[sealedKey]("keys")), "NULL": second(tenancy.NewRepository[nullKey]("keys")),
		"a form of its own": second(tenancy.NewRepository[ownForm]("keys")),
	} {
		if err == nil {
			t.Errorf("%s: declared", name)
		}
	}
}

func TestRepositoryNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"goods", "billing.goods", "_g1"} {
		if _, err := tenancy.NewRepository[good](name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "Goods", "a b", "a.b.c", "a;b", `a"b`, "art32_events", "art32.events", "art32_keys.keys", ".a", "a.", "gürtel", strings.Repeat("a", 64), "1a", "a-b",
	} {
		if _, err := tenancy.NewRepository[good](name); err == nil {
			t.Errorf("%q was taken for the name of a table", name)
		}
	}
	for name, err := range map[string]error{
		"no struct": second(tenancy.NewRepository[int]("ints")),
		"a pointer": second(tenancy.NewRepository[*good]("goods")),
		"embedded":  second(tenancy.NewRepository[twoKeys]("keys")),
		"no tenant": second(tenancy.NewRepository[onlyKey]("keys")),
		"nothing":   second(tenancy.NewRepository[struct{}]("none")),
		"an any":    second(tenancy.NewRepository[any]("anys")),
	} {
		if err == nil {
			t.Errorf("%s was declared", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestColumns(t *testing.T) {
	t.Parallel()
	r := tenancy.MustRepository[good]("goods")
	for name, err := range map[string]error{
		"encrypted":         second(tenancy.NewColumn[string](r, "email")),
		"pointer":           second(tenancy.NewColumn[time.Time](r, "born")),
		"pointer, as it is": second(tenancy.NewColumn[*time.Time](r, "born")),
		"plain":             second(tenancy.NewColumn[string](r, "plan")),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"wrong type":       second(tenancy.NewColumn[int](r, "plan")),
		"wrong plain type": second(tenancy.NewColumn[int](r, "email")),
		"bytes":            second(tenancy.NewColumn[[]byte](r, "email")),
		"wrong name":       second(tenancy.NewColumn[string](r, "plam")),
		"name of a field":  second(tenancy.NewColumn[string](r, "Plan")),
		"blind index":      second(tenancy.NewColumn[[]byte](r, "email_bidx")),
		"left out":         second(tenancy.NewColumn[chan int](r, "-")),
	} {
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestMustPanics(t *testing.T) {
	t.Parallel()
	r := tenancy.MustRepository[good]("goods")
	for name, declare := range map[string]func(){
		"repository": func() { tenancy.MustRepository[bad]("bad") },
		"column":     func() { tenancy.MustColumn[int](r, "plan") },
		"service":    func() { tenancy.MustService("Max Muster") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: declared", name)
				}
			}()
			declare()
		}()
	}
}

// An index must not be kept in a column that is another's, nor two in one.
type shared struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=plan:email"`
	Phone  field.Encrypted[string] `db:"phone"     art32:"index=phone_bidx:exact"`
	Mobile field.Encrypted[string] `db:"mobile"    art32:"index=phone_bidx:exact"`
	Plan   string                  `db:"plan"      art32:"open"`
}

func TestIndexHasItsOwnColumn(t *testing.T) {
	t.Parallel()
	_, err := tenancy.NewRepository[shared]("shared")
	if err == nil || !strings.Contains(err.Error(), "plan") || !strings.Contains(err.Error(), "phone_bidx") {
		t.Errorf("two uses of a column: %v", err)
	}
}
