package planted

import (
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"

	"github.com/art32/art32/cmd/art32vet/internal/check/testdata/tables"
)

// Note is as it should be.
type Note struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Text   field.Encrypted[string] `db:"text"`
}

// Notes are as they should be.
var Notes = tenancy.MustRepository[Note]("notes")

type customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email"`
	City   string                  `db:"city"`                   // want `table of planted.customer: field City: column has no class: say art32:"personal" or art32:"open", or make it a field.Encrypted`
	Plan   string                  `db:"plan"      art32:"opne"` // want `field Plan: unknown word "opne" in the art32 tag`
	Note   string                  `art32:"open"`                // want `field Note: needs a db tag`
}

var customers = tenancy.MustRepository[customer]("customers")

type loose struct {
	Name field.Encrypted[string] `db:"name"`
}

var looses, _ = tenancy.NewRepository[loose]("looses") // want `no column says art32:"key"` `no column says art32:"tenant"`

// The struct lies in another package, so that the finding stands here.
var others = tenancy.MustRepository[tables.Bare]("others") // want `table of tables.Bare: field City: column has no class`
