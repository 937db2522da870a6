package tenancy

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// place is a counter with the name that it has in reports.
type place struct {
	name    string
	counter SealedCounter
}

// counters are the log, if it counts, and those that the caller named.
func (p *pass) counters(elsewhere []SealedCounter) []place {
	var all []place
	if c, ok := p.db.log.(SealedCounter); ok {
		all = append(all, place{"the log", c})
	}
	for _, c := range elsewhere {
		all = append(all, place{strings.TrimPrefix(fmt.Sprintf("%T", c), "*"), c})
	}
	return all
}

// elsewhere counts what the places hold. It holds nobody off.
func (p *pass) elsewhere(ctx context.Context, places []place) error {
	for _, c := range places {
		tx, err := p.db.begin(ctx, p.scope)
		if err != nil {
			return err
		}
		k := SealedKeys{Place: c.name, Versions: map[uint32]int{}}
		err = tx.do(ctx, func(ctx context.Context) error {
			return c.counter.CountSealed(ctx, tx, nil, func(subject uuid.UUID, version uint32, n int) {
				k.Versions[version] += n
				if p.retired.has(subject, version) {
					k.Retired += n
				}
			})
		})
		if err != nil {
			return fmt.Errorf("tenancy: count keys in %s: %w", c.name, err)
		}
		p.report.Elsewhere = append(p.report.Elsewhere, k)
	}
	return nil
}
