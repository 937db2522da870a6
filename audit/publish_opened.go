package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// pinned reads the platform's logs, and demands that one of them has the key that is
// held outside: an installation that was replaced as a whole has none of it.
func (r *round) pinned(ctx context.Context) error {
	var err error
	r.platform, err = readAnchors(ctx, r.p.db, uuid.Nil, r.p.o.PlatformKey)
	if errors.Is(err, ErrCheckpoint) || err == nil && r.platform == nil && r.p.o.PlatformKey != "" {
		return fmt.Errorf("audit: publish: the platform's log is not valid, or not the one whose key is held outside: %w", ErrOtherLog)
	}
	return err
}

// opened demands that the platform's log holds that a tenant's log was opened here:
// else another could be put in its place, and published under its own name. The
// platform's log may have grown since it was read.
func (r *round) opened(ctx context.Context, l *head, tenant uuid.UUID) error {
	if tenant == uuid.Nil || r.p.isOpened(l.id) {
		return nil
	}
	found, err := readEvent(ctx, r.p.db, uuid.Nil, openingOf(tenant, l.id))
	if err != nil {
		return err
	}
	for again := range 2 {
		if found == nil || !found.opens(l.id) {
			break
		}
		if again > 0 {
			if err := r.pinned(ctx); err != nil {
				return err
			}
		}
		held, err := r.platform.holds(ctx, found)
		if err != nil {
			return err
		}
		if held {
			r.p.setOpened(l.id)
			return nil
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
