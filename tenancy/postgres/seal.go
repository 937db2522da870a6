package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/art32/art32/internal/engine"
)

// sealLife is how long a sealed context stays valid. A transaction of callers'
// text that lasts longer is refused from then on.
const sealLife = 60 * time.Second

// sealAge is how long an instance seals with a key before it looks for a newer one.
const sealAge = 60 * time.Second

// SealGrace is how long a key of the seal must open after it has a successor, so
// that no statement is refused: an instance looks for a successor after 60 s, what
// it sealed lives 60 s more, and clocks differ by at most 30 s.
const SealGrace = 5 * time.Minute

// seal mints sealed contexts under one key; see docs/formats/sealed-context.md.
type seal struct {
	id         int
	ipad, opad []byte
	read       time.Time // when it was the newest
}

// seals gives the newest key, as far as this instance knows.
type seals struct {
	db     *sql.DB // of the library login
	age    time.Duration
	reads  chan struct{} // of one place, held by who reads
	newest atomic.Pointer[seal]
	doubt  atomic.Bool // a context was refused: there may be a newer key
}

// newSeals is for keys that are looked for again after age.
func newSeals(db *sql.DB, age time.Duration) *seals {
	return &seals{db: db, age: age, reads: make(chan struct{}, 1)}
}

// current is the key to seal with. Who finds it old reads whether there is a newer
// one, and others go on with it meanwhile, unless it was refused; so does who cannot
// read.
func (s *seals) current(ctx context.Context) (*seal, error) {
	k, doubt := s.newest.Load(), s.doubt.Load()
	if !doubt && time.Since(k.read) < s.age {
		return k, nil
	}
	select {
	case s.reads <- struct{}{}:
	default:
		if !doubt {
			return k, nil
		}
		select {
		case s.reads <- struct{}{}:
		case <-ctx.Done():
			return nil, &engine.Error{Kind: engine.Unavailable, Cause: ctx.Err()}
		}
	}
	defer func() { <-s.reads }()
	if other := s.newest.Load(); other != k { // somebody was faster
		return other, nil
	}
	newer, err := s.load(ctx)
	if err != nil && !doubt {
		return k, nil // the database judges whether it still opens
	}
	return newer, err
}

// load reads the newest key of the seal.
func (s *seals) load(ctx context.Context) (*seal, error) {
	ctx, cancel := context.WithTimeout(ctx, rollbackPatience)
	defer cancel()
	k := seal{read: time.Now()}
	s.doubt.Store(false) // what is refused from now on is doubted anew
	err := s.db.QueryRowContext(ctx,
		"SELECT id, ipad, opad FROM art32.seal_keys WHERE retires_at IS NULL ORDER BY id DESC LIMIT 1").Scan(&k.id, &k.ipad, &k.opad)
	if err != nil {
		s.doubt.Store(s.newest.Load() != nil)
		return nil, fmt.Errorf("postgres: read the key of the seal: %w", translate(err, false))
	}
	s.newest.Store(&k)
	return &k, nil
}

// mint writes the context of s, valid until now + [sealLife]. Its parts hold no
// dot: they are UUIDs, words and identifiers.
func (k *seal) mint(s engine.Scope, now time.Time) string {
	text := strconv.Itoa(k.id) + "." + s.Tenant.String() + "." + s.Actor + "." + s.Session + "." +
		strconv.FormatInt(now.Add(sealLife).Unix(), 10)
	return text + "." + hex.EncodeToString(k.mac(text))
}

// admission is before what a proof of an event covers, so that no text of a context is
// one.
const admission = "art32/admit/v1"

// prove makes the proof with which art32.admit_event takes in an event.
func (k *seal) prove(message []byte) string {
	return strconv.Itoa(k.id) + "." + hex.EncodeToString(k.mac(admission+string(message)))
}

// mac is HMAC-SHA256 with the pads already mixed into the key (RFC 2104).
func (k *seal) mac(text string) []byte {
	inner := sha256.Sum256(append(append(make([]byte, 0, 192), k.ipad...), text...))
	outer := sha256.Sum256(append(append(make([]byte, 0, 96), k.opad...), inner[:]...))
	return outer[:]
}
