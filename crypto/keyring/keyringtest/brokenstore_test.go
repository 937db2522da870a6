package keyringtest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
)

// fakeStore is a keystore in memory that does what its parts say.
type fakeStore struct {
	mu      *sync.Mutex
	records []keyring.Record
	index   map[string]int
	uses    map[string]int64

	key      func(tenant uuid.UUID, name string) string        // by which records are found
	context  func(context.Context) error                       // whether a call may go on
	failure  func(keyring.Record) error                        // what it says then
	taken    func(stands, given keyring.Record) keyring.Record // what stands after an insert over a record
	out      func(keyring.Record) keyring.Record               // how records leave
	in       func(keyring.Record) keyring.Record               // how records are kept
	bury     func(keyring.Record, time.Time) keyring.Record
	unknown  bool                            // shredding leaves a tombstone of what never was
	most     int                             // records of one call
	over     int64                           // added to a limit
	counts   func(keyring.Record, bool) bool // whether a key may seal
	listed   func([]keyring.Record) []keyring.Record
	unlocked bool // between reading and writing
	onEmpty  error
}

func clone(r keyring.Record) keyring.Record {
	r.Wrapped = bytes.Clone(r.Wrapped)
	return r
}

func soundStore() *fakeStore {
	return &fakeStore{
		mu: new(sync.Mutex), index: make(map[string]int), uses: make(map[string]int64),
		key:     func(tenant uuid.UUID, name string) string { return tenant.String() + name },
		context: context.Context.Err,
		failure: func(keyring.Record) error { return errDown },
		taken:   func(stands, _ keyring.Record) keyring.Record { return stands },
		out:     clone, in: clone,
		bury: func(r keyring.Record, at time.Time) keyring.Record {
			if r.State != keyring.Erased {
				r.State, r.Wrapped, r.Changed = keyring.Erased, nil, at
			}
			return r
		},
		unknown: true, most: 1 << 20,
		counts: func(r keyring.Record, ok bool) bool { return ok && r.State == keyring.Active },
		listed: func(all []keyring.Record) []keyring.Record {
			slices.SortFunc(all, func(a, b keyring.Record) int {
				return cmp.Or(bytes.Compare(a.Tenant[:], b.Tenant[:]), cmp.Compare(a.Name, b.Name))
			})
			return all
		},
	}
}

// find returns the place of a record, or -1.
func (s *fakeStore) find(tenant uuid.UUID, name string) int {
	if i, ok := s.index[s.key(tenant, name)]; ok {
		return i
	}
	return -1
}

func (s *fakeStore) add(r keyring.Record) int {
	s.records = append(s.records, r)
	s.index[s.key(r.Tenant, r.Name)] = len(s.records) - 1
	return len(s.records) - 1
}

// pause lets others in where the store does not lock.
func (s *fakeStore) pause() {
	if s.unlocked {
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		s.mu.Lock()
	}
}

func (s *fakeStore) Get(ctx context.Context, tenant uuid.UUID, names []string) (out []keyring.Record, err error) {
	if err := s.context(ctx); err != nil {
		return nil, s.failure(keyring.Record{})
	}
	if len(names) == 0 {
		return nil, s.onEmpty
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names[:min(len(names), s.most)] {
		if i := s.find(tenant, name); i >= 0 {
			r := s.out(s.records[i])
			r.Tenant = tenant
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *fakeStore) Insert(ctx context.Context, records []keyring.Record) (out []keyring.Record, err error) {
	if len(records) == 0 {
		return nil, s.onEmpty
	}
	if err := s.context(ctx); err != nil {
		return nil, s.failure(records[0])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range records[:min(len(records), s.most)] {
		i := s.find(r.Tenant, r.Name)
		s.pause()
		if i < 0 {
			r.Changed = r.Created
			i = s.add(s.in(r))
		} else {
			s.records[i] = s.taken(s.records[i], clone(r))
		}
		out = append(out, s.out(s.records[i]))
	}
	return out, nil
}

func (s *fakeStore) Shred(ctx context.Context, tenant uuid.UUID, name string, at time.Time) error {
	if err := s.context(ctx); err != nil {
		return s.failure(keyring.Record{})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(tenant, name)
	s.pause()
	switch {
	case i >= 0:
		s.records[i] = s.bury(s.records[i], at)
	case s.unknown:
		s.add(keyring.Record{Tenant: tenant, Name: name, Version: 1, State: keyring.Erased, Created: at, Changed: at})
	}
	return nil
}

func (s *fakeStore) Reserve(ctx context.Context, tenant uuid.UUID, name string, version uint32, n, limit int64) (bool, error) {
	if err := s.context(ctx); err != nil {
		return false, s.failure(keyring.Record{})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(tenant, name)
	var r keyring.Record
	if i >= 0 {
		r = s.records[i]
	}
	k := s.key(tenant, name)
	used := s.uses[k]
	s.pause()
	if !s.counts(r, i >= 0 && r.Version == version) || used+n > limit+s.over {
		return false, nil
	}
	s.uses[k] = used + n
	return true, nil
}

func (s *fakeStore) List(context.Context) iter.Seq2[keyring.Record, error] {
	return func(yield func(keyring.Record, error) bool) {
		s.mu.Lock()
		all := slices.Clone(s.records)
		s.mu.Unlock()
		for i := range all {
			all[i].Wrapped = nil
		}
		for _, r := range s.listed(all) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestSoundStore(t *testing.T) {
	t.Parallel()
	keyringtest.RunStore(t, func(*testing.T) keyring.Store { return soundStore() })
	shared := soundStore()
	keyringtest.RunStore(t, func(*testing.T) keyring.Store { return shared })
}

var brokenStores = map[string]func(*fakeStore){
	"keeps nothing": func(s *fakeStore) { s.most = 0 },
	"cuts bytes": func(s *fakeStore) {
		s.in = func(r keyring.Record) keyring.Record { r.Wrapped = r.Wrapped[:97:97]; return r }
	},
	"knows no tenants": func(s *fakeStore) {
		s.key = func(_ uuid.UUID, name string) string { return name }
	},
	"takes names for patterns": func(s *fakeStore) {
		s.key = func(tenant uuid.UUID, name string) string { return tenant.String() + name[:min(len(name), 8)] }
	},
	"fails for nothing": func(s *fakeStore) { s.onEmpty = errors.New("no names") },
	"overwrites":        func(s *fakeStore) { s.taken = func(_, given keyring.Record) keyring.Record { return given } },
	"overwrites keys only": func(s *fakeStore) {
		s.taken = func(stands, given keyring.Record) keyring.Record {
			if stands.State == keyring.Erased {
				return stands
			}
			return given
		}
	},
	"brings the dead back": func(s *fakeStore) {
		s.taken = func(stands, given keyring.Record) keyring.Record {
			if stands.State == keyring.Erased {
				return given
			}
			return stands
		}
	},
	"looks, then writes": func(s *fakeStore) { s.unlocked = true },
	"ends a batch early": func(s *fakeStore) { s.most = 1000 },
	"hands out its own bytes": func(s *fakeStore) {
		s.out = func(r keyring.Record) keyring.Record { return r }
	},
	"keeps the caller's bytes": func(s *fakeStore) {
		s.in = func(r keyring.Record) keyring.Record { return r }
	},
	"keeps bytes of the dead": func(s *fakeStore) {
		s.bury = func(r keyring.Record, at time.Time) keyring.Record {
			r.State, r.Changed = keyring.Erased, at
			return r
		}
	},
	"retires instead of shredding": func(s *fakeStore) {
		s.bury = func(r keyring.Record, at time.Time) keyring.Record {
			r.State, r.Wrapped, r.Changed = keyring.Destroyed, nil, at
			return r
		}
	},
	"shreds nothing": func(s *fakeStore) {
		s.bury = func(r keyring.Record, _ time.Time) keyring.Record { return r }
	},
	"buries what is there only": func(s *fakeStore) { s.unknown = false },
	"dates a tombstone anew": func(s *fakeStore) {
		s.bury = func(r keyring.Record, at time.Time) keyring.Record {
			r.State, r.Wrapped, r.Changed = keyring.Erased, nil, at
			return r
		}
	},
	"gives one message too many": func(s *fakeStore) { s.over = 1 },
	"gives one message too few":  func(s *fakeStore) { s.over = -1 },
	"counts what is not there":   func(s *fakeStore) { s.counts = func(keyring.Record, bool) bool { return true } },
	"counts what is erased":      func(s *fakeStore) { s.counts = func(_ keyring.Record, ok bool) bool { return ok } },
	"never ends":                 func(s *fakeStore) { s.context = func(context.Context) error { return nil } },
	"quotes the key": func(s *fakeStore) {
		s.failure = func(r keyring.Record) error { return fmt.Errorf("insert %x", r.Wrapped) }
	},
	"lists no tombstones": func(s *fakeStore) {
		s.listed = func(all []keyring.Record) []keyring.Record {
			return slices.DeleteFunc(all, func(r keyring.Record) bool { return r.State == keyring.Erased })
		}
	},
	"lists bytes": func(s *fakeStore) {
		s.listed = func(all []keyring.Record) []keyring.Record {
			for i := range all {
				all[i].Wrapped = []byte("bytes")
			}
			return all
		}
	},
	"forgets times": func(s *fakeStore) {
		s.in = func(r keyring.Record) keyring.Record {
			r = clone(r)
			r.Created = time.Time{}
			return r
		}
	},
}

// Each broken keystore is caught, and each case catches at least one.
func TestBrokenStores(t *testing.T) {
	t.Parallel()
	catches := make(map[string]int)
	for name, damage := range brokenStores {
		caught := 0
		for _, c := range keyringtest.StoreCases() {
			s := soundStore()
			damage(s)
			if c.Check(t.Context(), s) != nil {
				caught++
				catches[c.Name]++
			}
		}
		if caught == 0 {
			t.Errorf("nothing catches the keystore that %s", name)
		}
	}
	for _, c := range keyringtest.StoreCases() {
		if catches[c.Name] == 0 || c.Explanation == "" || c.Measure == "" {
			t.Errorf("case %q catches nothing, or does not say why it is", c.Name)
		}
	}
}
