package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

var (
	// ErrMismatch says that the password is not the one that was hashed.
	ErrMismatch = errors.New("password: wrong password")
	// ErrBusy says that the queue is full: more logins are under way than the
	// budget serves. Nothing was hashed; answer 503 and let the client come back.
	ErrBusy = errors.New("password: too many passwords are waiting to be hashed")
	// ErrHash says that the stored text is none of ours or outside the bounds. No
	// password fits it; the account needs a reset.
	ErrHash = errors.New("password: stored hash cannot be used")
	// ErrEmpty says that there is no password.
	ErrEmpty = errors.New("password: empty")
	// ErrTooLong says that a password is longer than [MaxLength].
	ErrTooLong = errors.New("password: longer than 1024 bytes")
)

// MaxLength is the longest password, in bytes. NIST SP 800-63B-4, section
// 3.1.1.2, wants at least 64 characters to be allowed; a limit keeps a request
// from costing what its sender likes.
const MaxLength = 1024

const (
	defaultMemory = 256 << 20
	defaultQueue  = 128
)

// Options change the defaults of [New]. Nil and zero fields mean the default.
type Options struct {
	// Preset is how new hashes are made; default [OWASP19MiB].
	Preset Preset
	// Memory is what all hashes at one time may take together, in bytes; default
	// 256 MiB: 13 hashes of [OWASP19MiB] side by side, more than most machines
	// have cores, and together with what the collector has yet to take back it
	// fits a container of 1 GiB. It also bounds the memory that a stored hash may
	// ask for. Less than one hash of Preset is an error.
	Memory int64
	// Queue is how many hashes may wait for memory; default 128, which two cores
	// work off in about two seconds, while people still wait. Fewer than zero is
	// an error.
	Queue int
}

// Hasher hashes and verifies passwords. One serves the whole process, since two
// would have two budgets. It is safe for concurrent use.
type Hasher struct {
	params params
	memory int64
	gate   gate
	dummy  string // a hash that no password is known to fit
}

// New returns a Hasher. Nil options mean the defaults.
func New(opts *Options) (*Hasher, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	switch {
	case int(o.Preset) >= len(presets):
		return nil, fmt.Errorf("password: unknown preset %d", uint8(o.Preset))
	case o.Memory < presets[o.Preset].bytes():
		return nil, fmt.Errorf("password: a budget of %d bytes is less than one hash takes: %d", o.Memory, presets[o.Preset].bytes())
	case o.Queue < 0:
		return nil, fmt.Errorf("password: a queue of %d places", o.Queue)
	}
	h := &Hasher{params: presets[o.Preset], memory: o.Memory, gate: gate{free: o.Memory, limit: o.Queue}}
	h.dummy = h.fresh(hashSize).String()
	return h, nil
}

// fresh is a stored hash with a new salt and, for the dummy, a random hash.
func (h *Hasher) fresh(hash int) stored {
	random := make([]byte, saltSize+hash)
	rand.Read(random)
	return stored{params: h.params, salt: random[:saltSize], hash: random[saltSize:]}
}

// Hash returns the text to store for the password pw of 1 to [MaxLength] bytes:
// the PHC string "$argon2id$v=19$m=19456,t=2,p=1$salt$hash" with a new salt of
// 16 bytes and a hash of 32. It neither keeps nor changes pw.
//
// It returns [ErrEmpty], [ErrTooLong], [ErrBusy], or the error of ctx when that
// ends before the hash has begun.
func (h *Hasher) Hash(ctx context.Context, pw []byte) (string, error) {
	s := h.fresh(0)
	var err error
	if s.hash, err = h.derive(ctx, s, hashSize, pw); err != nil {
		return "", err
	}
	return s.String(), nil
}

// Verify reports by a nil error that pw is the password of the stored text phc,
// and by rehash that phc was made with less than today's preset: then the
// caller should store a new [Hasher.Hash] of pw, which it will not see again.
// It neither keeps nor changes pw.
//
// It returns [ErrMismatch], [ErrHash], [ErrEmpty], [ErrTooLong], [ErrBusy], or
// the error of ctx when that ends before the hash has begun. To the person who
// logs in the first four should look the same: so a phc that cannot be used, ""
// among them, takes the time of [Hasher.Dummy].
func (h *Hasher) Verify(ctx context.Context, phc string, pw []byte) (rehash bool, err error) {
	s, err := h.load(phc)
	if err != nil {
		// The same work as for a user who does not exist.
		if work := h.Dummy(ctx, pw); !errors.Is(work, ErrMismatch) {
			return false, work
		}
		return false, err
	}
	got, err := h.derive(ctx, s, len(s.hash), pw)
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare(got, s.hash) != 1 {
		return false, ErrMismatch
	}
	return s.below(h.params) || len(s.salt) < saltSize || len(s.hash) < hashSize, nil
}

// Dummy does for a user who does not exist what [Hasher.Verify] does for a
// wrong password, so that neither the answer nor its time tells the two apart:
// the same work, the same errors, and never nil. A hash that was stored with
// another preset takes its own time until it has been renewed.
func (h *Hasher) Dummy(ctx context.Context, pw []byte) error {
	if _, err := h.Verify(ctx, h.dummy, pw); err != nil {
		return err
	}
	return ErrMismatch
}

// derive computes a hash of size bytes once the gate lets it.
func (h *Hasher) derive(ctx context.Context, s stored, size int, pw []byte) ([]byte, error) {
	switch {
	case len(pw) == 0:
		return nil, ErrEmpty
	case len(pw) > MaxLength:
		return nil, ErrTooLong
	}
	if err := h.gate.acquire(ctx, s.bytes()); err != nil {
		if errors.Is(err, ErrBusy) {
			return nil, err
		}
		return nil, fmt.Errorf("password: wait for memory: %w", err)
	}
	defer h.gate.release(s.bytes())
	return argon2.IDKey(pw, s.salt, s.time, s.memory, s.threads, uint32(size)), nil
}
