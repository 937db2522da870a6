package audit

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// pinned demands that the platform's log whose key is held outside is among those of
// the database: an installation that was replaced as a whole has none of it.
func (r *round) pinned(ctx context.Context) error {
	var err error
	if r.platform, err = publishedLogs(ctx, r.p.db, uuid.Nil); err != nil || r.p.o.PlatformKey == "" {
		return err
	}
	for _, l := range r.platform {
		if l.vkey == r.p.o.PlatformKey {
			return nil
		}
	}
	return fmt.Errorf("audit: publish: the platform's log is not the one whose key is held outside: %w", ErrOtherLog)
}

// opened demands that the platform's log holds that a tenant's log was opened here:
// else another could be put in its place, and published under its own name.
func (r *round) opened(ctx context.Context, l *publishedLog, tenant uuid.UUID) error {
	if tenant == uuid.Nil || r.p.isOpened(l.id) {
		return nil
	}
	found, err := readEvent(ctx, r.p.db, uuid.Nil, openingOf(tenant, l.id))
	if err != nil {
		return err
	}
	if found != nil && found.opens(l.id) {
		for _, p := range r.platform {
			if found.at < p.base || found.at >= p.base+p.size {
				continue
			}
			h, err := p.signed(r.p.db, uuid.Nil)
			if err != nil {
				return err
			}
			held, err := h.anchor.holds(ctx, found)
			if err != nil {
				return err
			}
			if held {
				r.p.setOpened(l.id)
				return nil
			}
		}
	}
	return fmt.Errorf("the platform's log does not hold that it was opened here: %w", ErrOtherLog)
}

func (p *Publisher) isOpened(log uuid.UUID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[log]
}

func (p *Publisher) setOpened(log uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[log] = true
}
