package keyring

import (
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

// entry is one opened key. Its fields do not change once it is in the cache.
type entry struct {
	ref     ref
	erased  bool
	version uint32
	cipher  *field.Cipher // of a data subject or the tenant
	kek     *aead.AEAD
	secret  []byte // index key or named secret

	expires    time.Time
	prev, next *entry
}

// cache holds opened keys, the least recently used ones leaving first. A
// tombstone in it is never replaced by a key. Safe for concurrent use.
type cache struct {
	mu      sync.Mutex
	entries map[ref]*entry
	lru     entry // ring: next is the newest
	max     int
	ttl     time.Duration
}

func newCache(size int, ttl time.Duration) *cache {
	c := &cache{entries: make(map[ref]*entry), max: size, ttl: ttl}
	c.lru.prev, c.lru.next = &c.lru, &c.lru
	return c
}

// get returns the entry, or nil when there is none or it is too old.
func (c *cache) get(k ref) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[k]
	if e == nil {
		return nil
	}
	if !time.Now().Before(e.expires) {
		c.remove(e)
		return nil
	}
	e.unlink()
	e.linkAfter(&c.lru)
	return e
}

// put keeps e and returns what then stands: e, or the tombstone in its way.
func (c *cache) put(e *entry) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[e.ref]; old != nil {
		if old.erased && !e.erased && time.Now().Before(old.expires) {
			return old
		}
		c.remove(old)
	}
	e.expires = time.Now().Add(c.ttl)
	c.entries[e.ref] = e
	e.linkAfter(&c.lru)
	for len(c.entries) > c.max {
		c.remove(c.lru.prev)
	}
	return e
}

func (c *cache) drop(k ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[k]; e != nil {
		c.remove(e)
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
}

func (e *entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}

func (e *entry) linkAfter(at *entry) {
	e.prev, e.next = at, at.next
	at.next.prev, at.next = e, e
}
