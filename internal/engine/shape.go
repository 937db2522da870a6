package engine

import (
	"context"

	"github.com/google/uuid"
)

// Shape is a table that an application declared with a struct, in the words of
// [Checker].
type Shape struct {
	Table   string   // as declared
	Columns []string // those of the rows and of the blind indexes
}

// Checker is what an [Engine] may offer beyond, if its databases are not all open
// when it is.
type Checker interface {
	// Require makes the engine refuse a tenant's database that lacks a table or a
	// column, at its first use; it returns an error where it can tell now that all
	// of them will.
	Require(ctx context.Context, shapes []Shape) error
}

// Netter is what an [Engine] may offer beyond, if something can be missing by which
// [SQLTx.Written] knows.
type Netter interface {
	// Netted gives back those of the tables of which it knows all writes.
	Netted(ctx context.Context, tables []string) ([]string, error)
}

// Holder is what an [Engine] may offer beyond, if each tenant's rows lie in a place
// of their own.
type Holder interface {
	// Held lists the tenants of whom there is a place, whether or not the platform's
	// rows tell of them.
	Held(ctx context.Context) ([]uuid.UUID, error)
}
