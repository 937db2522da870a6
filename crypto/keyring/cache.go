package keyring

import (
	"slices"
	"sync"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/aead"
	"github.com/google/uuid"
)

// ref names a key without building a string for the frequent kind.
type ref struct {
	tenant  uuid.UUID
	subject uuid.UUID
	name    string // empty: a data subject's key
}

const (
	nameRoot      = "root"   // a random value that tells whether the root is the right one
	nameTenant    = "tenant" // the tenant's KEK
	nameIndex     = "index"
	nameData      = "data" // the tenant's DEK, for rows of no data subject
	prefixSubject = "subject/"
	prefixSecret  = "secret/"
)

func (k ref) record() string {
	if k.name == "" {
		return prefixSubject + k.subject.String()
	}
	return k.name
}

// entry is one opened key with all its versions. What others than the cache
// read of it does not change once it is in the cache, but for secret, which
// [cache.secret] copies.
type entry struct {
	ref      ref
	erased   bool
	versions []uint32      // those that have bytes: what seals first, then the others in order
	cipher   *field.Cipher // of a data subject or the tenant
	keks     []*aead.AEAD  // one for each of versions
	secret   []byte        // named secret, or the index keys of versions one after the other

	asked      time.Time // when the keystore was asked for it; zero: now
	expires    time.Time
	uses       int  // how often it was handed out
	gone       bool // it has left the cache: its secret is zero
	prev, next *entry
}

// wipe overwrites what can be: the key schedules of ciphers are out of reach.
func (e *entry) wipe() {
	e.gone = true
	clear(e.secret)
}

// cache holds opened keys, the least recently used ones leaving first. A
// tombstone in it is never replaced by a key, and that of a tenant's KEK stands
// for all its keys. Safe for concurrent use.
type cache struct {
	mu      sync.Mutex
	entries map[ref]*entry
	lru     entry // ring: next is the newest
	max     int
	uses    int // of one entry; 0: no bound
	ttl     time.Duration
}

func newCache(size, uses int, ttl time.Duration) *cache {
	c := &cache{entries: make(map[ref]*entry), max: size, uses: uses, ttl: ttl}
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// get returns the entry, or nil when there is none, or it is too old or used up.
func (c *cache) get(k ref) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.use(k, time.Now())
}

// getAll sets each of out to what get returns of keys, and returns the keys for
// which that is nothing.
func (c *cache) getAll(keys []ref, out []*entry) (cold []ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for i, k := range keys {
		if out[i] = c.use(k, now); out[i] == nil {
			if cold == nil {
				cold = make([]ref, 0, len(keys)-i)
			}
			cold = append(cold, k)
		}
	}
	return cold
}

func (c *cache) use(k ref, now time.Time) *entry {
	e := c.entries[k]
	if e == nil {
		return nil
	}
	if e.old(now) || c.usedUp(e) {
		c.remove(e)
		return nil
	}
	e.uses++
	e.unlink()
	e.linkAfter(&c.lru)
	return e
}

// put keeps e, whose first use is the caller's, and returns what then stands:
// e, the tombstone in its way, or what was read later. The time that e may be
// used begins when the keystore was asked: an answer that took long is older
// than it looks.
func (c *cache) put(e *entry) *entry {
	one := [...]*entry{e}
	c.putAll(one[:])
	return one[0]
}

// putAll puts those of list that are not nil.
func (c *cache) putAll(list []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for i, e := range list {
		if e != nil {
			list[i] = c.keep(e, now)
		}
	}
}

func (c *cache) keep(e *entry, now time.Time) *entry {
	old := c.entries[e.ref]
	if stone := c.tombstone(e, old, now); stone != nil {
		e.wipe()
		return stone
	}
	if e.asked.IsZero() {
		e.asked = now
	}
	if old != nil {
		if old.asked.After(e.asked) && !e.erased {
			e.wipe()
			return old
		}
		c.remove(old)
	}
	if e.erased && e.ref.name == nameTenant {
		c.removeTenant(e.ref.tenant)
	}
	e.expires, e.uses = e.asked.Add(c.ttl), 1
	c.entries[e.ref] = e
	e.linkAfter(&c.lru)
	for last := c.lru.prev; last != e && (len(c.entries) > c.max || last.old(now)); last = c.lru.prev {
		c.remove(last)
	}
	return e
}

// tombstone returns what keeps the key e out, if anything does; old is what the
// cache holds under its name.
func (c *cache) tombstone(e, old *entry, now time.Time) *entry {
	if e.erased {
		return nil
	}
	for _, stone := range [...]*entry{old, c.entries[ref{tenant: e.ref.tenant, name: nameTenant}]} {
		if stone != nil && stone.erased && !stone.old(now) {
			return stone
		}
	}
	return nil
}

// secret returns a copy of the secret of e, or false when e has left the cache
// since the caller got it: then it must be read again.
func (c *cache) secret(e *entry) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(e.secret), !e.gone
}

func (c *cache) drop(k ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		c.remove(e)
	}
}

// dropTenant drops all keys of the tenant, its KEK too. It looks at every
// entry, for a tenant is dropped seldom. The tombstone of a tenant's KEK does
// the same when it is put.
func (c *cache) dropTenant(tenant uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeTenant(tenant)
}

func (c *cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		c.remove(e)
	}
}

func (c *cache) removeTenant(tenant uuid.UUID) {
	for k, e := range c.entries {
		if k.tenant == tenant {
			c.remove(e)
		}
	}
}

func (c *cache) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

func (c *cache) remove(e *entry) {
	delete(c.entries, e.ref)
	e.unlink()
	e.wipe()
}

// usedUp never holds for a tombstone: it says the same however often it is read.
func (c *cache) usedUp(e *entry) bool { return c.uses > 0 && e.uses >= c.uses && !e.erased }

// old goes by the monotonic clock, which a wrong or changed clock does not move.
func (e *entry) old(now time.Time) bool { return !now.Before(e.expires) }

func (e *entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

func (e *entry) linkAfter(at *entry) {
	e.prev, e.next = at, at.next
	at.next.prev, at.next = e, e
}
