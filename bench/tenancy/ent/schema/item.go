// Package schema declares the table of the comparison to ent.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"
)

// Item is a row of ten columns.
type Item struct{ ent.Schema }

// Fields implements [ent.Interface].
func (Item) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}),
		field.UUID("tenant_id", uuid.UUID{}),
		field.String("a"), field.String("b"), field.String("c"), field.String("d"), field.String("e"),
		field.Int64("n"), field.Int64("m"),
		field.Bool("p"),
	}
}
