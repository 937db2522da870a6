package keyringtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/keyring"
)

// tenantKey names the KEK, without which a keystore takes no other key.
const tenantKey = "tenant"

func subject() string { return "subject/" + uuid.NewString() }

// newRecord is a key as the ring wraps it: format 1, version 1 of the KEK.
func newRecord(tenant uuid.UUID, name string) keyring.Record {
	wrapped := make([]byte, 97)
	rand.Read(wrapped)
	copy(wrapped, []byte{1, 0, 0, 0, 1})
	return keyring.Record{
		Tenant: tenant, Name: name, Version: 1, State: keyring.Active, Wrapped: wrapped,
		Created: time.Date(2031, 3, 9, 14, 15, 16, 123_000_000, time.UTC),
	}
}

func newRecords(tenant uuid.UUID, names ...string) []keyring.Record {
	out := make([]keyring.Record, len(names))
	for i, name := range names {
		out[i] = newRecord(tenant, name)
	}
	return out
}

// newTenant stores a tenant's KEK and names what else is stored with it.
func newTenant(ctx context.Context, s keyring.Store, names ...string) (uuid.UUID, []keyring.Record, error) {
	tenant := uuid.New()
	records := newRecords(tenant, append([]string{tenantKey}, names...)...)
	err := insert(ctx, s, records)
	return tenant, records[1:], err
}

// insert stores records of which none is there yet.
func insert(ctx context.Context, s keyring.Store, records []keyring.Record) error {
	got, err := s.Insert(ctx, slices.Clone(records))
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return same("insert", got, records)
}

// same compares records without regard to order and times.
func same(verb string, got, want []keyring.Record) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d records, want %d", verb, len(got), len(want))
	}
	byName := make(map[string]keyring.Record, len(got))
	for _, r := range got {
		byName[r.Name] = r
	}
	for _, w := range want {
		g, ok := byName[w.Name]
		switch {
		case !ok:
			return fmt.Errorf("%s: a key is missing", verb)
		case g.Tenant != w.Tenant || g.Version != w.Version || g.State != w.State:
			return fmt.Errorf("%s: version %d in state %q, want %d in %q, or of another tenant", verb, g.Version, g.State, w.Version, w.State)
		case !bytes.Equal(g.Wrapped, w.Wrapped):
			return fmt.Errorf("%s: other bytes than were stored", verb)
		}
	}
	return nil
}

func namesOf(records []keyring.Record) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = r.Name
	}
	return out
}

// want checks what the keystore holds of these records.
func want(ctx context.Context, s keyring.Store, records ...keyring.Record) error {
	got, err := s.Get(ctx, records[0].Tenant, namesOf(records))
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return same("get", got, records)
}

// erased is a record after Shred.
func erased(r keyring.Record) keyring.Record {
	r.State, r.Wrapped = keyring.Erased, nil
	return r
}

func shredAll(ctx context.Context, s keyring.Store, records ...keyring.Record) error {
	for _, r := range records {
		if err := s.Shred(ctx, r.Tenant, r.Name, r.Created.Add(time.Hour)); err != nil {
			return fmt.Errorf("shred: %w", err)
		}
	}
	return nil
}

func insertAndGet(ctx context.Context, s keyring.Store) error {
	_, records, err := newTenant(ctx, s, subject(), "secret/a.b_c/d-e", "data")
	if err != nil {
		return err
	}
	long := newRecord(records[0].Tenant, subject())
	long.Wrapped = append(long.Wrapped, bytes.Repeat([]byte{0, 0xff, '\''}, 3000)...) // as of a service
	return errors.Join(
		insert(ctx, s, []keyring.Record{long}),
		want(ctx, s, long), want(ctx, s, records...), want(ctx, s, records[1]))
}

func nothingAsked(ctx context.Context, s keyring.Store) error {
	got, err := s.Get(ctx, uuid.New(), nil)
	stored, errInsert := s.Insert(ctx, nil)
	if err := errors.Join(err, errInsert); err != nil || len(got)+len(stored) != 0 {
		return fmt.Errorf("%d records for nothing (error %w)", len(got)+len(stored), orNil(err))
	}
	return nil
}

func unknownNames(ctx context.Context, s keyring.Store) error {
	tenant, records, err := newTenant(ctx, s, subject())
	if err != nil {
		return err
	}
	got, err := s.Get(ctx, tenant, []string{subject(), records[0].Name, strings.ToUpper(records[0].Name), "subject/%"})
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	other, err := s.Get(ctx, uuid.New(), []string{tenantKey})
	if err != nil || len(other) != 0 {
		return fmt.Errorf("get: %d records of a tenant that was never created (error %w)", len(other), orNil(err))
	}
	return same("get", got, records)
}

func tenantsApart(ctx context.Context, s keyring.Store) error {
	name := subject()
	_, first, err := newTenant(ctx, s, name)
	if err != nil {
		return err
	}
	_, second, err := newTenant(ctx, s, name)
	if err != nil {
		return err
	}
	if err := errors.Join(want(ctx, s, first[0]), want(ctx, s, second[0]), shredAll(ctx, s, first[0])); err != nil {
		return err
	}
	return errors.Join(want(ctx, s, erased(first[0])), want(ctx, s, second[0]))
}

func firstStands(ctx context.Context, s keyring.Store) error {
	tenant, first, err := newTenant(ctx, s, subject(), subject())
	if err != nil {
		return err
	}
	again, fresh := newRecords(tenant, namesOf(first)...), newRecord(tenant, subject())
	got, err := s.Insert(ctx, append(again, fresh))
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	stand := append(slices.Clone(first), fresh)
	return errors.Join(same("insert again", got, stand), want(ctx, s, stand...))
}

// racing runs n at once and joins what went wrong.
func racing(n int, run func(i int) error) error {
	all := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { all[i] = run(i) })
	}
	wg.Wait()
	return errors.Join(all...)
}

func creatorsAgree(ctx context.Context, s keyring.Store) error {
	tenant, _, err := newTenant(ctx, s)
	if err != nil {
		return err
	}
	names := []string{subject(), subject(), subject()}
	answers := make([][]keyring.Record, 8)
	err = racing(len(answers), func(i int) (err error) {
		answers[i], err = s.Insert(ctx, newRecords(tenant, names...))
		return err
	})
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	for _, got := range answers {
		if len(got) != len(names) {
			return fmt.Errorf("insert: %d records, want %d", len(got), len(names))
		}
		if err := want(ctx, s, got...); err != nil {
			return fmt.Errorf("one was told of a key that does not stand: %w", err)
		}
	}
	return nil
}

func batchesCross(ctx context.Context, s keyring.Store) error {
	tenant, _, err := newTenant(ctx, s)
	if err != nil {
		return err
	}
	names := make([]string, 60)
	for i := range names {
		names[i] = subject()
	}
	return racing(6, func(i int) error {
		mine := slices.Clone(names)
		if i%2 == 1 {
			slices.Reverse(mine)
		}
		got, err := s.Insert(ctx, newRecords(tenant, mine...))
		if err != nil || len(got) != len(names) {
			return fmt.Errorf("insert: %d records (error %w)", len(got), orNil(err))
		}
		return nil
	})
}

func bigBatch(ctx context.Context, s keyring.Store) error {
	names := make([]string, 2500)
	for i := range names {
		names[i] = subject()
	}
	tenant, records, err := newTenant(ctx, s, names...)
	if err != nil {
		return err
	}
	if err := want(ctx, s, records...); err != nil {
		return err
	}
	got, err := s.Insert(ctx, newRecords(tenant, names...))
	if err != nil {
		return fmt.Errorf("insert again: %w", err)
	}
	return same("insert again", got, records)
}

func copies(ctx context.Context, s keyring.Store) error {
	tenant := uuid.New()
	records := newRecords(tenant, tenantKey, subject())
	stored := slices.Clone(records)
	for i := range stored {
		stored[i].Wrapped = bytes.Clone(stored[i].Wrapped)
	}
	got, err := s.Insert(ctx, records)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	read, err := s.Get(ctx, tenant, namesOf(stored))
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	for _, r := range slices.Concat(records, got, read) {
		clear(r.Wrapped)
	}
	return want(ctx, s, stored...)
}
