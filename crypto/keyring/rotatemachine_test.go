package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// machine is a keystore with some instances, and what must be true of it
// whatever they do in whatever order.
type machine struct {
	t     *testing.T
	dice  *rand.Rand
	store keyring.Store
	roots [2]keyring.Wrapper

	rings   []*keyring.Ring
	rows    []row
	index   [][]byte // keys of the values that are stored
	people  []uuid.UUID
	erased  map[uuid.UUID]bool
	running []running
}

type row struct {
	person     uuid.UUID // zero: under the tenant's data key
	ciphertext []byte
}

type running struct {
	cancel context.CancelFunc
	done   chan error
}

// TestMachine throws dice for what happens next, with a clock that it moves.
func TestMachine(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubbletest.Run(t, func(t *testing.T) {
				db := openSQLite(t)
				defer db.Close()
				a, b := newRoot(t), newRoot(t)
				m := &machine{
					t: t, dice: rand.New(rand.NewPCG(seed, 32)), store: keyring.SQLStore(db, migrate.SQLite), erased: make(map[uuid.UUID]bool),
					roots: [2]keyring.Wrapper{value(keyring.Roots(a, b))(t), value(keyring.Roots(b, a))(t)},
				}
				for range 3 {
					m.rings = append(m.rings, m.instance())
				}
				noError(t, m.rings[0].CreateTenant(t.Context(), acme))
				for range 120 {
					m.step()
					synctest.Wait()
					m.holds()
				}
				m.finish()
			})
		})
	}
}

func (m *machine) instance() *keyring.Ring {
	return newRing(m.t, m.roots[m.dice.IntN(2)], m.store, &keyring.Options{TTL: time.Minute, Grace: time.Hour})
}

func (m *machine) ring() *keyring.Ring { return m.rings[m.dice.IntN(len(m.rings))] }

func (m *machine) step() {
	ctx := m.t.Context()
	switch n := m.dice.IntN(20); {
	case n < 4:
		time.Sleep(time.Duration(m.dice.Int64N(int64(90 * time.Second))))
	case n < 5:
		time.Sleep(time.Duration(m.dice.Int64N(int64(2 * time.Hour))))
	case n < 7:
		p := uuid.New()
		value(m.ring().CreateCipher(ctx, acme, p))(m.t)
		m.people = append(m.people, p)
	case n < 11:
		m.seal()
	case n < 12:
		m.rings[m.dice.IntN(len(m.rings))] = m.instance()
	case n < 15:
		m.rotate()
	case n < 16:
		m.kill()
	case n < 17:
		m.reseal()
	case n < 18:
		m.destroy()
	case n < 19:
		m.shred()
	default:
		value(m.ring().RotateRoot(ctx, nil))(m.t)
	}
}

func (m *machine) seal() {
	p := uuid.Nil
	if len(m.people) > 0 && m.dice.IntN(3) > 0 {
		p = m.people[m.dice.IntN(len(m.people))]
	}
	if m.erased[p] {
		return
	}
	r := m.ring()
	c := value((&sealed{tenant: acme}).cipher(m.t.Context(), r, p))(m.t)
	m.rows = append(m.rows, row{p, value(c.Seal(nil, []byte("x"), place))(m.t)})
	m.index = append(m.index, value(r.IndexKey(m.t.Context(), acme))(m.t))
}

func (m *machine) rotate() {
	kind, r := kinds[m.dice.IntN(len(kinds))], m.ring()
	before := time.Now().Add(-time.Duration(m.dice.Int64N(int64(2 * time.Hour))))
	ctx, cancel := context.WithCancel(m.t.Context())
	run := running{cancel, make(chan error, 1)}
	m.running = append(m.running, run)
	go func() {
		_, err := r.Rotate(ctx, acme, kind, before, nil)
		run.done <- err
	}()
}

func (m *machine) kill() {
	if len(m.running) == 0 {
		return
	}
	i := m.dice.IntN(len(m.running))
	m.running[i].cancel()
	if err := <-m.running[i].done; err != nil && !errors.Is(err, context.Canceled) {
		m.t.Fatal(err)
	}
	m.running = slices.Delete(m.running, i, i+1)
}

// reseal seals all rows anew, and computes all values of indexes anew.
func (m *machine) reseal() {
	r := m.ring()
	for i, w := range m.rows {
		if m.erased[w.person] {
			continue
		}
		c := value((&sealed{tenant: acme}).cipher(m.t.Context(), r, w.person))(m.t)
		plain := value(c.Open(nil, w.ciphertext, place))(m.t)
		m.rows[i].ciphertext = value(c.Seal(nil, plain, place))(m.t)
		m.index[i] = value(r.IndexKey(m.t.Context(), acme))(m.t)
	}
}

// destroy destroys what nothing is sealed with any more, and is refused where it
// is too early.
func (m *machine) destroy() {
	r := m.ring()
	index := make(map[uint32][]byte)
	for _, k := range value(m.instance().IndexKeys(m.t.Context(), acme))(m.t) {
		index[k.Version] = k.Key
	}
	for v, err := range r.Retired(m.t.Context(), acme) {
		noError(m.t, err)
		if m.used(v, index) {
			continue
		}
		err := r.Destroy(m.t.Context(), acme, v)
		early := time.Since(v.Since) < time.Hour
		inUse := v.Kind == keyring.KEK && errors.Is(err, keyring.ErrInUse)
		if early != errors.Is(err, keyring.ErrTooEarly) || err != nil && !early && !inUse {
			m.t.Errorf("%+v after %s: %v", v, time.Since(v.Since), err)
		}
	}
}

func (m *machine) used(v keyring.Version, index map[uint32][]byte) bool {
	if v.Kind == keyring.IndexKeys {
		return slices.ContainsFunc(m.index, func(k []byte) bool { return bytes.Equal(k, index[v.Version]) })
	}
	return v.Kind != keyring.KEK && slices.ContainsFunc(m.rows, func(w row) bool {
		return w.person == v.Subject && uint32(w.ciphertext[4]) == v.Version && !m.erased[w.person]
	})
}

func (m *machine) shred() {
	if len(m.people) == 0 || m.dice.IntN(3) > 0 {
		return
	}
	p := m.people[m.dice.IntN(len(m.people))]
	noError(m.t, m.ring().Shred(m.t.Context(), acme, p))
	m.erased[p] = true
}

// holds looks at everything through every instance and a new one.
func (m *machine) holds() {
	m.t.Helper()
	ctx := m.t.Context()
	for i, r := range append([]*keyring.Ring{m.instance()}, m.rings...) {
		for _, w := range m.rows {
			c, err := (&sealed{tenant: acme}).cipher(ctx, r, w.person)
			if m.erased[w.person] {
				if i == 0 && !errors.Is(err, keyring.ErrErased) {
					m.t.Fatalf("erased: %v", err)
				}
				continue
			}
			noError(m.t, err)
			if _, err := c.Open(nil, w.ciphertext, place); err != nil {
				m.t.Fatalf("instance %d: sealed with version %d: %v", i, w.ciphertext[4], err)
			}
		}
		keys := value(r.IndexKeys(ctx, acme))(m.t)
		for _, k := range m.index {
			if !slices.ContainsFunc(keys, func(have keyring.IndexKey) bool { return bytes.Equal(have.Key, k) }) {
				m.t.Fatalf("instance %d lacks an index key", i)
			}
		}
	}
	m.ordered()
}

// ordered: versions are numbered without gaps, none is retired before an older
// one, and one seals unless the key is erased.
func (m *machine) ordered() {
	m.t.Helper()
	order := []keyring.State{keyring.Active, keyring.Retired, keyring.Destroyed, keyring.Erased}
	for name, records := range versions(m.t, m.store, acme) {
		for i, rec := range records {
			rank := slices.Index(order, rec.State)
			if int(rec.Version) != i+1 || i > 0 && rank > 0 && records[i-1].State == keyring.Active || (rec.Wrapped == nil) != (rank > 1) {
				m.t.Fatalf("%s: %s", name, states(records))
			}
		}
		if last := records[len(records)-1].State; last != keyring.Active && last != keyring.Erased {
			m.t.Fatalf("%s: %s", name, states(records))
		}
	}
}

// finish lets all rotations end.
func (m *machine) finish() {
	for _, run := range m.running {
		noError(m.t, <-run.done)
		run.cancel()
	}
	m.holds()
	time.Sleep(2 * time.Hour)
	m.reseal()
	m.destroy()
	m.holds()
}
