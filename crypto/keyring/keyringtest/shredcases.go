package keyringtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
)

func shred(ctx context.Context, s keyring.Store) error {
	_, records, err := newTenant(ctx, s, subject(), subject(), "data")
	if err != nil {
		return err
	}
	if err := shredAll(ctx, s, records[0]); err != nil {
		return err
	}
	return errors.Join(want(ctx, s, erased(records[0])), want(ctx, s, records[1:]...))
}

func shredUnknown(ctx context.Context, s keyring.Store) error {
	tenant, _, err := newTenant(ctx, s)
	if err != nil {
		return err
	}
	never := newRecord(tenant, subject())
	if err := shredAll(ctx, s, never); err != nil {
		return err
	}
	return errors.Join(want(ctx, s, erased(never)), refused(ctx, s, never))
}

// refused inserts a record that must not come back.
func refused(ctx context.Context, s keyring.Store, r keyring.Record) error {
	got, err := s.Insert(ctx, newRecords(r.Tenant, r.Name))
	if err != nil {
		return fmt.Errorf("insert over a tombstone: %w", err)
	}
	return same("insert over a tombstone", got, []keyring.Record{erased(r)})
}

func shredTwice(ctx context.Context, s keyring.Store) error {
	_, records, err := newTenant(ctx, s, subject())
	if err != nil {
		return err
	}
	r := records[0]
	if err := shredAll(ctx, s, r, r); err != nil {
		return err
	}
	if err := s.Shred(ctx, r.Tenant, r.Name, r.Created.Add(2*time.Hour)); err != nil {
		return fmt.Errorf("shred again: %w", err)
	}
	if err := want(ctx, s, erased(r)); err != nil {
		return err
	}
	listed, err := listOf(ctx, s, r.Tenant)
	for _, l := range listed {
		if l.Name == r.Name && !l.Changed.Equal(r.Created.Add(time.Hour)) {
			return errors.New("shred again: the time of the first one was lost")
		}
	}
	return err
}

func tombstonesStay(ctx context.Context, s keyring.Store) error {
	tenant, records, err := newTenant(ctx, s, subject(), subject())
	if err != nil {
		return err
	}
	if err := shredAll(ctx, s, records[0]); err != nil {
		return err
	}
	fresh := newRecord(tenant, subject())
	batch := append(newRecords(tenant, namesOf(records)...), fresh)
	got, err := s.Insert(ctx, batch)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	stand := []keyring.Record{erased(records[0]), records[1], fresh}
	return errors.Join(same("insert over a tombstone", got, stand), want(ctx, s, stand...), refused(ctx, s, records[0]))
}

func shredRaces(ctx context.Context, s keyring.Store) error {
	tenant, _, err := newTenant(ctx, s)
	if err != nil {
		return err
	}
	for range 8 {
		r := newRecord(tenant, subject())
		err := racing(4, func(i int) error {
			if i == 0 {
				return shredAll(ctx, s, r)
			}
			got, err := s.Insert(ctx, newRecords(tenant, r.Name))
			if err != nil || len(got) != 1 {
				return fmt.Errorf("insert: %d records (error %w)", len(got), orNil(err))
			}
			return nil
		})
		if err := errors.Join(err, want(ctx, s, erased(r)), refused(ctx, s, r)); err != nil {
			return err
		}
	}
	return nil
}

const limit = 1000

// reserves checks the answer to one reservation.
func reserves(ctx context.Context, s keyring.Store, r keyring.Record, n int64, want bool) error {
	got, err := s.Reserve(ctx, r.Tenant, r.Name, r.Version, n, limit)
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	if got != want {
		return fmt.Errorf("reserve %d of a limit of %d: got %t", n, limit, got)
	}
	return nil
}

func reserve(ctx context.Context, s keyring.Store) error {
	_, records, err := newTenant(ctx, s, "data")
	if err != nil {
		return err
	}
	_, others, err := newTenant(ctx, s, "data")
	if err != nil {
		return err
	}
	data := records[0]
	for _, step := range []struct {
		n    int64
		want bool
	}{{limit / 2, true}, {limit/2 + 1, false}, {limit / 2, true}, {1, false}, {limit, false}} {
		if err := reserves(ctx, s, data, step.n, step.want); err != nil {
			return err
		}
	}
	return errors.Join(reserves(ctx, s, others[0], limit, true), want(ctx, s, data))
}

func reserveNothing(ctx context.Context, s keyring.Store) error {
	tenant, records, err := newTenant(ctx, s, "data")
	if err != nil {
		return err
	}
	next := records[0]
	next.Version = 2
	if err := errors.Join(
		reserves(ctx, s, newRecord(tenant, "index"), 1, false), reserves(ctx, s, next, 1, false),
		reserves(ctx, s, newRecord(uuid.New(), "data"), 1, false), shredAll(ctx, s, records[0]),
	); err != nil {
		return err
	}
	return reserves(ctx, s, records[0], 1, false)
}

func reserveRaces(ctx context.Context, s keyring.Store) error {
	_, records, err := newTenant(ctx, s, "data")
	if err != nil {
		return err
	}
	var given atomic.Int64
	err = racing(8, func(int) error {
		for range 10 {
			ok, err := s.Reserve(ctx, records[0].Tenant, "data", 1, limit/20, limit)
			if err != nil {
				return fmt.Errorf("reserve: %w", err)
			}
			if ok {
				given.Add(limit / 20)
			}
		}
		return nil
	})
	if err == nil && given.Load() != limit {
		err = fmt.Errorf("reserve: %d messages given away of a limit of %d", given.Load(), limit)
	}
	return err
}

func endedContext(ctx context.Context, s keyring.Store) error {
	tenant, records, err := newTenant(ctx, s, subject(), "data")
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	fresh := newRecord(tenant, subject())
	_, errGet := s.Get(ended, tenant, namesOf(records))
	_, errInsert := s.Insert(ended, []keyring.Record{fresh})
	_, errReserve := s.Reserve(ended, tenant, "data", 1, 1, limit)
	for verb, err := range map[string]error{"get": errGet, "insert": errInsert, "reserve": errReserve, "shred": shredAll(ended, s, records[0])} {
		if err == nil {
			return fmt.Errorf("%s: no error after the context has ended", verb)
		}
		if shows(err.Error(), fresh.Wrapped[40:72]) || shows(err.Error(), records[0].Wrapped[40:72]) {
			return fmt.Errorf("%s: the error holds bytes of a key", verb)
		}
	}
	got, err := s.Get(ctx, tenant, []string{fresh.Name})
	if err != nil || len(got) != 0 {
		return fmt.Errorf("insert: a key was stored after the context had ended (error %w)", orNil(err))
	}
	return errors.Join(want(ctx, s, records...), reserves(ctx, s, records[1], limit, true))
}

func list(ctx context.Context, s keyring.Store) error {
	if _, ok := s.(keyring.Lister); !ok {
		return nil
	}
	tenant, records, err := newTenant(ctx, s, subject(), subject(), "data", "index")
	if err != nil {
		return err
	}
	if err := shredAll(ctx, s, records[0]); err != nil {
		return err
	}
	listed, err := listOf(ctx, s, tenant)
	if err != nil {
		return err
	}
	stand := []keyring.Record{newRecord(tenant, tenantKey), erased(records[0]), records[1], records[2], records[3]}
	for i := range stand {
		stand[i].Wrapped = nil
	}
	for _, l := range listed {
		if !l.Created.Equal(records[0].Created) || l.Changed.IsZero() {
			return errors.New("list: the time of a record was lost")
		}
	}
	return same("list", listed, stand)
}

// listOf lists what there is of one tenant, whose records come one after the
// other.
func listOf(ctx context.Context, s keyring.Store, tenant uuid.UUID) (out []keyring.Record, err error) {
	lister, ok := s.(keyring.Lister)
	if !ok {
		return nil, nil
	}
	var seen []uuid.UUID
	for r, err := range lister.List(ctx) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if len(r.Wrapped) > 0 {
			return nil, errors.New("list: hands out bytes of keys")
		}
		if len(seen) == 0 || seen[len(seen)-1] != r.Tenant {
			if slices.Contains(seen, r.Tenant) {
				return nil, errors.New("list: not ordered by tenant")
			}
			seen = append(seen, r.Tenant)
		}
		if r.Tenant == tenant {
			out = append(out, r)
		}
	}
	for range lister.List(ctx) {
		break // who stops early is not called again
	}
	return out, nil
}
