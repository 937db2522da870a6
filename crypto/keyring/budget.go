package keyring

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
)

// ErrLimit says that a tenant's data key has sealed as many fields as random
// nonces allow: it must be rotated.
var ErrLimit = errors.New("keyring: the tenant's data key has sealed 2^32 fields: rotate it")

// NIST SP 800-38D, section 8.3: at most 2^32 messages under one key with random
// nonces of 96 bits.
const messageLimit = 1 << 32

// A process reserves its messages in blocks, which are lost when it ends, so
// the first is small and they grow while it goes on sealing.
const (
	firstBlock     = 1 << 12
	lastBlock      = 1 << 20
	reserveTimeout = 10 * time.Second
)

// budget counts the messages of one tenant's data key, over all instances
// through the keystore. It outlives the cached cipher.
type budget struct {
	store   Store
	tenant  uuid.UUID
	version uint32

	mu    sync.Mutex
	left  int64
	block int64
}

func (r *Ring) budget(tenant uuid.UUID, version uint32) *budget {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.budgets[tenant]
	if b == nil || b.version != version {
		b = &budget{store: r.store, tenant: tenant, version: version, block: firstBlock}
		r.budgets[tenant] = b
	}
	return b
}

// Take implements field.Budget. Once per block it writes to the keystore, under
// a time limit of its own since sealing has no context.
func (b *budget) Take() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left == 0 {
		if err := b.reserve(); err != nil {
			return err
		}
	}
	b.left--
	return nil
}

func (b *budget) reserve() error {
	ctx, cancel := context.WithTimeout(context.Background(), reserveTimeout)
	defer cancel()
	ok, err := b.store.Reserve(ctx, b.tenant, nameData, b.version, b.block, messageLimit)
	if err == nil && !ok && b.block > firstBlock {
		b.block = firstBlock
		ok, err = b.store.Reserve(ctx, b.tenant, nameData, b.version, b.block, messageLimit)
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return ErrLimit
	}
	b.left = b.block
	b.block = min(2*b.block, lastBlock)
	return nil
}
