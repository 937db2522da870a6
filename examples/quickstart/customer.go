package main

import (
	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// region declaration

// Customer is one row of a tenant's customers. Every measure follows from the
// tags: what is encrypted, found by a blind index, cleared at an erasure.
type Customer struct {
	ID     uuid.UUID               `db:"id"        art32:"key,subject"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Name   field.Encrypted[string] `db:"name"`
	Email  field.Encrypted[string] `db:"email"     art32:"index=email_bidx:email"`
	Phone  field.Encrypted[string] `db:"phone"`
	IBAN   field.Encrypted[string] `db:"iban"`
	Note   field.Encrypted[string] `db:"note"`
	City   string                  `db:"city"      art32:"personal"`
	Plan   string                  `db:"plan"      art32:"open"`
}

// The table and a column by which it is searched, checked when declared.
var (
	Customers     = tenancy.MustRepository[Customer]("customers")
	CustomerEmail = tenancy.MustColumn[string](Customers, "email")
	schema        = tenancy.Schema{Customers}
)

// endregion
