package pgsource

import (
	"context"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/tenancy"
)

// MaxHeld bounds the rows that wait in memory.
const MaxHeld = maxHeld

// Split hands chunks of COPY's text through a splitter of one table whose first
// column is the tenant, and gives the most bytes that its buffers held at once,
// and those that they hold at the end.
func Split(ctx context.Context, sink backup.Sink, size int, tenants []tenancy.ID, chunks func(yield func([]byte) bool)) (most, left int, err error) {
	t := &table{Schema: "public", Name: "t", Columns: []string{"tenant", "text"}, Tenant: "tenant"}
	s := newSplitter(ctx, sink, t, size, tenants)
	for chunk := range chunks {
		if _, err := s.Write(chunk); err != nil {
			return s.most, s.held, err
		}
	}
	return s.most, s.held, s.end()
}
