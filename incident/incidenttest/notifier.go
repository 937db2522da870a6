package incidenttest

import (
	"context"
	"slices"
	"sync"

	"github.com/art32/art32/incident"
)

// Notifier collects notices. Its zero value is ready, and it is safe for
// concurrent use.
type Notifier struct {
	mu      sync.Mutex
	failure error
	tries   int
	notices []incident.Notice
}

var _ incident.Notifier = (*Notifier)(nil)

// Notify implements [incident.Notifier]. It takes a notice over once; the same id
// again is the same notice.
func (n *Notifier) Notify(ctx context.Context, x incident.Notice) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tries++
	if n.failure != nil {
		return n.failure
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := x.Check(); err != nil {
		return err
	}
	if !slices.ContainsFunc(n.notices, func(o incident.Notice) bool { return o.ID == x.ID }) {
		n.notices = append(n.notices, x)
	}
	return nil
}

// Fail has every further Notify return err; nil ends that.
func (n *Notifier) Fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failure = err
}

// Notices are those that were taken over, in their order.
func (n *Notifier) Notices() []incident.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.notices)
}

// Tries is how often Notify was called.
func (n *Notifier) Tries() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tries
}
