package engine

import "context"

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
