package keyring

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/google/uuid"
)

// Decisions a caller takes.
var (
	// ErrErased says that the data subject's key was destroyed. It is
	// [field.ErrErased], so that one test serves for keys and fields.
	ErrErased = field.ErrErased
	// ErrNoKey says that the data subject never had a key.
	ErrNoKey = errors.New("keyring: no key")
	// ErrNoTenant says that the keystore holds no keys of the tenant: it was
	// never created here, or this is another keystore.
	ErrNoTenant = errors.New("keyring: the keystore holds no keys of this tenant: create the tenant, or open the keystore that belongs to the data")
	// ErrRoot says that the root is not the one that the keystore was made with.
	ErrRoot = errors.New("keyring: the root key does not open this keystore: use the root it was created with")
	// ErrDamaged says that the root is right but a single wrapped key does not
	// open: it was changed or exchanged.
	ErrDamaged = errors.New("keyring: a wrapped key was changed or exchanged: restore the keystore")
)

const (
	defaultMaxKeys = 16384
	defaultTTL     = 5 * time.Minute
	defaultGrace   = 24 * time.Hour
)

// Options of a [Ring].
type Options struct {
	// MaxKeys bounds the cache of opened keys, each about 1.7 KiB; default
	// 16,384, some 28 MiB.
	MaxKeys int
	// TTL is how long an opened key is used without asking the keystore again,
	// and so how long other instances may still read what was shredded here;
	// default five minutes.
	TTL time.Duration
	// MaxUses is how often an opened key is handed out before it is read from
	// the keystore again; those who wait for one read share it. Default: no
	// bound, since TTL ends what was destroyed elsewhere, and messages are
	// counted in the keystore where a key could see too many.
	MaxUses int
	// Grace is how long a version of a key is kept after it was retired, for a
	// process that slept with it in its hand; default a day, never less than TTL.
	Grace time.Duration
	// Copies are those of the keystore that live for a time after a key was
	// destroyed: its backups, archive of the write-ahead log, snapshots,
	// replicas. Nil says that nobody has declared them, an empty list that there
	// are none. See [Ring.Horizon].
	Copies []Copy
}

// Ring hands out the keys of tenants and data subjects. It is safe for
// concurrent use; several instances may share one keystore.
type Ring struct {
	root  Wrapper
	store Store
	cache *cache
	grace time.Duration
	page  int     // keys of one step of a rotation
	holds []Copy  // as declared
	keks  flights // opening the KEKs of tenants
	reads flights // keys being read

	mu      sync.Mutex
	checked bool // the root fits the keystore
	budgets map[uuid.UUID]*budget
}

// New returns the ring over a keystore. It does not touch root or store: a
// wrong one shows at first use, as [ErrRoot] or [ErrKeystore].
func New(root Wrapper, store Store, o *Options) (*Ring, error) {
	if root == nil || store == nil {
		return nil, errors.New("keyring: new ring: root and store are required")
	}
	if o == nil {
		o = &Options{}
	}
	if o.MaxKeys < 0 || o.TTL < 0 || o.MaxUses < 0 || o.Grace < 0 {
		return nil, errors.New("keyring: new ring: negative option")
	}
	if err := checkCopies(o.Copies); err != nil {
		return nil, err
	}
	size, ttl := o.MaxKeys, o.TTL
	if size == 0 {
		size = defaultMaxKeys
	}
	if ttl == 0 {
		ttl = defaultTTL
	}
	return &Ring{
		root: checked(root), store: store, cache: newCache(size, o.MaxUses, ttl), grace: max(ttl, cmp.Or(o.Grace, defaultGrace)),
		page: rotatePage, holds: slices.Clone(o.Copies), budgets: make(map[uuid.UUID]*budget),
	}, nil
}

// TTL is how long a key may be used after it was read.
func (r *Ring) TTL() time.Duration { return r.cache.ttl }

// CreateTenant gives the tenant a random KEK, index key and data key. It is
// idempotent, and concurrent callers agree. The zero tenant is the platform.
func (r *Ring) CreateTenant(ctx context.Context, tenant uuid.UUID) error {
	if err := r.checkRoot(ctx); err != nil {
		return err
	}
	kek := ref{tenant: tenant, name: nameTenant}
	got, err := r.load(ctx, tenant, []ref{kek})
	if err == nil && got[0] != nil && !got[0].erased {
		return nil
	}
	if err != nil && !errors.Is(err, ErrNoTenant) {
		return err
	}
	return r.insertTenant(ctx, tenant)
}

// Cipher returns the data subject's cipher, without allocating while the key
// is warm, or [ErrErased] or [ErrNoKey].
func (r *Ring) Cipher(ctx context.Context, tenant, subject uuid.UUID) (*field.Cipher, error) {
	k := ref{tenant: tenant, subject: subject}
	e := r.cache.get(k)
	if e == nil {
		got, err := r.load(ctx, tenant, []ref{k})
		if err != nil {
			return nil, err
		}
		e = got[0]
	}
	switch {
	case e == nil:
		return nil, fmt.Errorf("%w: data subject %s", ErrNoKey, subject)
	case e.erased:
		return nil, ErrErased
	}
	return e.cipher, nil
}

// Ciphers returns the ciphers of many data subjects with one round trip for
// all that are cold. An erased one is present and nil; one that never had a
// key is absent.
func (r *Ring) Ciphers(ctx context.Context, tenant uuid.UUID, subjects []uuid.UUID) (map[uuid.UUID]*field.Cipher, error) {
	keys := subjectRefs(tenant, subjects)
	got, err := r.load(ctx, tenant, keys)
	if err != nil {
		return nil, err
	}
	return ciphersOf(keys, got), nil
}

// CreateCipher returns the data subject's cipher and creates its key when there
// is none: one round trip while the tenant's KEK is warm. Concurrent callers
// get one key. An erased data subject never gets a new one: [ErrErased].
func (r *Ring) CreateCipher(ctx context.Context, tenant, subject uuid.UUID) (*field.Cipher, error) {
	got, err := r.obtain(ctx, tenant, []ref{{tenant: tenant, subject: subject}})
	if err != nil {
		return nil, err
	}
	if got[0].erased {
		return nil, ErrErased
	}
	return got[0].cipher, nil
}

// CreateCiphers is [Ring.CreateCipher] for many data subjects at once; an
// erased one is present and nil.
func (r *Ring) CreateCiphers(ctx context.Context, tenant uuid.UUID, subjects []uuid.UUID) (map[uuid.UUID]*field.Cipher, error) {
	keys := subjectRefs(tenant, subjects)
	got, err := r.obtain(ctx, tenant, keys)
	if err != nil {
		return nil, err
	}
	return ciphersOf(keys, got), nil
}

// TenantCipher returns the cipher for rows that belong to no data subject. Its
// messages are counted over all instances; Seal returns [ErrLimit] at 2^32.
// What it seals cannot be shredded for one person.
func (r *Ring) TenantCipher(ctx context.Context, tenant uuid.UUID) (*field.Cipher, error) {
	e, err := r.one(ctx, ref{tenant: tenant, name: nameData})
	if err != nil {
		return nil, err
	}
	return e.cipher, nil
}

// IndexKey returns the tenant's key for blind indexes with which values are
// written; the caller may clear it. While the key is rotated, searches need all
// of [Ring.IndexKeys].
func (r *Ring) IndexKey(ctx context.Context, tenant uuid.UUID) ([]byte, error) {
	_, all, err := r.secret(ctx, ref{tenant: tenant, name: nameIndex})
	if err != nil {
		return nil, err
	}
	clear(all[field.KeySize:])
	return all[:field.KeySize:field.KeySize], nil
}

// IndexKey is one version of a tenant's key for blind indexes.
type IndexKey struct {
	Version uint32 // from 1
	Key     []byte // [field.KeySize] bytes; the caller may clear them
}

// Format keeps the key out of every log.
func (k IndexKey) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "[index key %d]", k.Version) }

// IndexKeys returns all versions of the tenant's key for blind indexes that are
// not destroyed: the one with which values are written first, then the others,
// with which values may have been written.
func (r *Ring) IndexKeys(ctx context.Context, tenant uuid.UUID) ([]IndexKey, error) {
	versions, all, err := r.secret(ctx, ref{tenant: tenant, name: nameIndex})
	if err != nil {
		return nil, err
	}
	out := make([]IndexKey, len(versions))
	for i, v := range versions {
		out[i] = IndexKey{Version: v, Key: all[i*field.KeySize : (i+1)*field.KeySize : (i+1)*field.KeySize]}
	}
	return out, nil
}

var secretName = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,99}$`)

// Secret returns a random secret of 32 bytes that is created on first use by
// whoever comes first, such as a signing seed. The zero tenant is the platform.
// The name is of lower-case letters, digits and . _ / -; the caller may clear
// the secret.
func (r *Ring) Secret(ctx context.Context, tenant uuid.UUID, name string) ([]byte, error) {
	if !secretName.MatchString(name) {
		return nil, fmt.Errorf("keyring: secret: name %q is not of lower-case letters, digits and . _ / -", name)
	}
	_, secret, err := r.secret(ctx, ref{tenant: tenant, name: prefixSecret + name})
	return secret, err
}

// HasSecret reports whether a secret exists, so that it is not taken for a new one.
func (r *Ring) HasSecret(ctx context.Context, tenant uuid.UUID, name string) (bool, error) {
	found, err := r.load(ctx, tenant, []ref{{tenant: tenant, name: prefixSecret + name}})
	if errors.Is(err, ErrNoTenant) {
		return false, nil
	}
	return err == nil && found[0] != nil, err
}

// one returns a key of the tenant itself, created on first use.
func (r *Ring) one(ctx context.Context, k ref) (*entry, error) {
	if e := r.cache.get(k); e != nil && !e.erased {
		return e, nil
	}
	got, err := r.load(ctx, k.tenant, []ref{k})
	if errors.Is(err, ErrNoTenant) && k.tenant == uuid.Nil {
		if err = r.CreateTenant(ctx, uuid.Nil); err == nil {
			got, err = r.load(ctx, k.tenant, []ref{k})
		}
	}
	if err == nil && got[0] == nil {
		got, err = r.obtain(ctx, k.tenant, []ref{k})
	}
	switch {
	case err != nil:
		return nil, err
	case got[0].erased:
		return nil, ErrErased
	}
	return got[0], nil
}

func subjectRefs(tenant uuid.UUID, subjects []uuid.UUID) []ref {
	keys := make([]ref, len(subjects))
	for i, s := range subjects {
		keys[i] = ref{tenant: tenant, subject: s}
	}
	return keys
}

func ciphersOf(keys []ref, got []*entry) map[uuid.UUID]*field.Cipher {
	out := make(map[uuid.UUID]*field.Cipher, len(keys))
	for i, e := range got {
		if e != nil {
			out[keys[i].subject] = e.cipher
		}
	}
	return out
}

func randomKey() []byte {
	key := make([]byte, field.KeySize)
	rand.Read(key)
	return key
}
