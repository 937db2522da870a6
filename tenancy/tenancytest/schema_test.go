package tenancytest_test

import (
	"embed"
	"io/fs"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/blob"
	"github.com/art32/art32/tenancy/tenancytest"
)

// customer is the person; ticket refers to it.
type customer struct {
	ID      uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant  tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email   field.Encrypted[string] `db:"email"     art32:"unique=email_bidx:email"`
	Balance field.Encrypted[int64]  `db:"balance"`
	City    string                  `db:"city"      art32:"personal"`
	Born    *time.Time              `db:"born"      art32:"personal"`
	Plan    string                  `db:"plan"      art32:"open"`
}

// ticketID has a type of its own.
type ticketID uuid.UUID

type ticket struct {
	ID       ticketID                `db:"id"          art32:"key"`
	Tenant   tenancy.ID              `db:"tenant_id"   art32:"tenant"`
	Customer uuid.UUID               `db:"customer_id" art32:"subject"`
	Text     field.Encrypted[string] `db:"text"`
	// File does not come back in from JSON.
	File   field.Encrypted[blob.Ref] `db:"file"`
	Closed bool                      `db:"closed"      art32:"open"`
}

// setting is about nobody.
type setting struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Word   string                  `db:"word"      art32:"open"`
	Secret field.Encrypted[[]byte] `db:"secret"`
}

// line has a key of several columns, one of which is the person.
type line struct {
	Tenant   tenancy.ID              `db:"tenant_id"   art32:"tenant"`
	Customer uuid.UUID               `db:"customer_id" art32:"key,subject"`
	Kind     kind                    `db:"kind"        art32:"key"`
	Position int32                   `db:"position"    art32:"key"`
	Text     field.Encrypted[string] `db:"text"        art32:"index=text_bidx:casefold"`
	Note     string                  `db:"note"        art32:"personal"`
	Amount   int64                   `db:"amount"      art32:"open"`
}

type kind string

// limit has a text for a key, and counter a number.
type limit struct {
	Name   string                  `db:"name"      art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Value  int                     `db:"value"     art32:"open"`
	Secret field.Encrypted[string] `db:"secret"`
}

type counter struct {
	ID     int64                  `db:"id"        art32:"key"`
	Tenant tenancy.ID             `db:"tenant_id" art32:"tenant"`
	Value  field.Encrypted[int64] `db:"value"`
}

var (
	customers  = tenancy.MustRepository[customer]("customers")
	tickets    = tenancy.MustRepository[ticket]("desk.tickets")
	settings   = tenancy.MustRepository[setting]("settings")
	orderLines = tenancy.MustRepository[line]("lines")
	limits     = tenancy.MustRepository[limit]("limits")
	counters   = tenancy.MustRepository[counter]("counters")
	schema     = tenancy.Schema{customers, tickets, settings, orderLines, limits, counters}
)

//go:embed testdata
var testdata embed.FS

func options(t testing.TB) *tenancytest.Options {
	t.Helper()
	return &tenancytest.Options{Migrations: sub(t, "testdata/app")}
}

func sub(t testing.TB, dir string) fs.FS {
	t.Helper()
	s, err := fs.Sub(testdata, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRun(t *testing.T) {
	t.Parallel()
	tenancytest.Each(t, schema, options(t), tenancytest.Run)
}
