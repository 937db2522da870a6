package keyring_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// TestDestroy lets each kind go through its life, with every refusal on the way.
func TestDestroy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, d)
		patient := newRing(t, root, store, &keyring.Options{TTL: quick.TTL}) // Grace is a day
		r := newRing(t, root, store, quick)
		all := seal(t, r, acme, 2)
		for _, kind := range kinds {
			first := keyring.Version{Kind: kind, Version: 1}
			if kind == keyring.SubjectKeys {
				first.Subject = all.people[0]
			}
			if err := r.Destroy(ctx, acme, first); !errors.Is(err, keyring.ErrInUse) {
				t.Errorf("%s: the only version: %v", kind, err)
			}
			value(r.Rotate(ctx, acme, kind, time.Now(), nil))(t)
			second, third := first, first
			second.Version, third.Version = 2, 3
			if err := patient.Destroy(ctx, acme, first); !errors.Is(err, keyring.ErrTooEarly) {
				t.Errorf("%s: at once: %v", kind, err)
			}
			ripe(t, r, acme)
			for version, want := range map[keyring.Version]error{second: keyring.ErrInUse, third: keyring.ErrNoKey} {
				if err := r.Destroy(ctx, acme, version); !errors.Is(err, want) {
					t.Errorf("%s: version %d: %v", kind, version.Version, err)
				}
			}
			for range 2 {
				noError(t, r.Destroy(ctx, acme, first))
			}
			if err := r.Destroy(ctx, acme, third, first); !errors.Is(err, keyring.ErrNoKey) {
				t.Errorf("%s: one of two: %v", kind, err)
			}
		}
		for v, err := range r.Retired(ctx, acme) { // the other data subject's
			if noError(t, err); v.Subject != all.people[1] || v.Kind != keyring.SubjectKeys || v.Version != 1 || time.Since(v.Since) > time.Minute {
				t.Errorf("retired: %+v", v)
			}
		}
		cold := newRing(t, root, store, quick)
		c := value(cold.Cipher(ctx, acme, all.people[0]))(t)
		if _, err := c.Open(nil, all.fields[all.people[0]][0], place); !errors.Is(err, field.ErrOpen) {
			t.Errorf("sealed with what is destroyed: %v", err)
		}
		if keys := value(cold.IndexKeys(ctx, acme))(t); len(keys) != 1 || keys[0].Version != 2 {
			t.Errorf("index keys: %v", keys)
		}
		for _, v := range []keyring.Version{{}, {Kind: "secret", Version: 1}, {Kind: keyring.SubjectKeys, Version: 1}, {Kind: keyring.KEK}, {Kind: keyring.KEK, Subject: uuid.New(), Version: 1}} {
			if err := r.Destroy(ctx, acme, v); err == nil {
				t.Errorf("%+v accepted", v)
			}
		}
		noError(t, r.Destroy(ctx, acme))
	})
}

// TestStatesGoForward tries to turn back what a rotation has done, with the
// rights the library has.
func TestStatesGoForward(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, store := t.Context(), keyring.SQLStore(db, d)
		r := newRing(t, newRoot(t), store, quick)
		all := seal(t, r, acme, 2)
		value(r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(t)
		set := `UPDATE art32_keys.keys SET state = $1 WHERE version = 1 AND name = $2`
		codes := map[keyring.State]any{keyring.Active: "active", keyring.Destroyed: "destroyed"}
		if d == migrate.SQLite {
			set = `UPDATE art32_keys SET code = $1 WHERE version = 1 AND name = $2`
			codes = map[keyring.State]any{keyring.Active: 2, keyring.Destroyed: 4}
		}
		name := "subject/" + all.people[0].String()
		if _, err := db.ExecContext(ctx, set, codes[keyring.Active], name); err == nil {
			t.Error("a retired version became active")
		}
		noError(t, r.Shred(ctx, acme, all.people[0]))
		if _, err := db.ExecContext(ctx, set, codes[keyring.Destroyed], name); err == nil {
			t.Error("a tombstone was taken back")
		}
		rotator := store.(keyring.Rotator)
		kept := versions(t, store, acme)["subject/"+all.people[1].String()]
		for what, n := range map[string]int64{
			"the last active one": value(rotator.Retire(ctx, acme, kept[1:], time.Now()))(t),
			"a version again":     value(rotator.Introduce(ctx, kept[1:]))(t),
			"after a retired one": value(rotator.Introduce(ctx, []keyring.Record{{Tenant: acme, Name: "tenant", Version: 4, Wrapped: kept[1].Wrapped}}))(t),
			"bytes of another":    value(rotator.Rewrap(ctx, acme, []keyring.Rewrap{{Name: kept[0].Name, Version: 1, Old: kept[1].Wrapped, New: kept[1].Wrapped}}))(t),
		} {
			if n != 0 {
				t.Errorf("%s: %d", what, n)
			}
		}
	})
}

// TestServersClock: on PostgreSQL the grace goes by the server's clock where a
// client's is wrong.
func TestServersClock(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), keyring.SQLStore(openPostgres(t), migrate.Postgres)
	rotator, destroyer := store.(keyring.Rotator), store.(keyring.Destroyer)
	r := newRing(t, newRoot(t), store, quick)
	noError(t, r.CreateTenant(ctx, acme))
	value(r.Rotate(ctx, acme, keyring.IndexKeys, time.Now(), nil))(t)
	value(r.Rotate(ctx, acme, keyring.DataKey, time.Now(), nil))(t)
	index := []keyring.Record{{Name: "index", Version: 1}}
	ahead := time.Now().Add(48 * time.Hour)
	if err := destroyer.Destroy(ctx, acme, index, ahead.Add(-24*time.Hour), ahead); !errors.Is(err, keyring.ErrTooEarly) {
		t.Errorf("by a clock that is ahead: %v", err)
	}
	value(r.Rotate(ctx, acme, keyring.IndexKeys, time.Now(), nil))(t)
	behind := time.Now().Add(-48 * time.Hour)
	value(rotator.Introduce(ctx, []keyring.Record{{Tenant: acme, Name: "data", Version: 3, Created: behind, Wrapped: versions(t, store, acme)["data"][1].Wrapped}}))(t)
	value(rotator.Retire(ctx, acme, []keyring.Record{{Name: "data", Version: 2}}, behind))(t)
	if since := versions(t, store, acme)["data"][1].Changed; time.Since(since) > time.Hour {
		t.Errorf("retired at %s by a clock that is behind", since)
	}
}

// TestHorizon states when a destroyed key is gone from all copies.
func TestHorizon(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	root, now := newRoot(t), time.Now()
	backups := []keyring.Copy{{Name: "backup", Life: 14 * 24 * time.Hour}, {Name: "archive", Life: 48 * time.Hour}}
	for name, c := range map[string]struct {
		copies []keyring.Copy
		want   time.Duration
		err    error
	}{
		"not declared": {nil, 0, keyring.ErrCopies},
		"none":         {[]keyring.Copy{}, 5 * time.Minute, nil},
		"two":          {backups, 14*24*time.Hour + 5*time.Minute, nil},
	} {
		r := newRing(t, root, memory{}, &keyring.Options{Copies: c.copies})
		got, err := r.Horizon(now)
		if !errors.Is(err, c.err) || err == nil && !got.Equal(now.Add(c.want)) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
		list, declared := r.Copies()
		if len(list) != len(c.copies) || declared != (c.copies != nil) {
			t.Errorf("%s: %v, %t", name, list, declared)
		}
	}
	r := newRing(t, root, memory{}, &keyring.Options{Copies: backups})
	backups[0].Life = 0
	if list, _ := r.Copies(); list[0].Life == 0 {
		t.Error("the caller's list is the ring's own")
	}
	for _, bad := range []keyring.Copy{{}, {Name: "x", Life: -1}} {
		if _, err := keyring.New(root, memory{}, &keyring.Options{Copies: []keyring.Copy{bad}}); err == nil {
			t.Errorf("%+v accepted", bad)
		}
	}
}

// TestFigures counts versions by state, and names the oldest key in use.
func TestFigures(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, store := t.Context(), keyring.SQLStore(db, d)
		r := newRing(t, newRoot(t), store, quick)
		seal(t, r, acme, 3)
		seal(t, r, bolt, 2)
		value(r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(t)
		value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
		destroyRetired(t, r, acme)
		value(r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(t)
		attrs := value(r.Check(ctx))(t)
		got := fmt.Sprint(attrs)
		want := "tenants=2 subjects=5 erased=0 secrets=2 active=14 retired=3 destroyed=4"
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
		oldest := versions(t, store, bolt)["tenant"][0].Created
		for _, a := range attrs {
			if a.Key == "oldest_key" && a.Value.Time().After(oldest.Add(time.Second)) {
				t.Errorf("oldest key of %s, want %s", a.Value, oldest)
			}
		}
		noError(t, r.ShredTenant(ctx, acme))
		if got := fmt.Sprint(value(r.Check(ctx))(t)); !strings.Contains(got, "tenants=1 subjects=2 erased=0") {
			t.Errorf("after a tenant was shredded: %s", got)
		}
		if err := r.ShredTenant(ctx, uuid.Nil); err == nil {
			t.Error("the platform was shredded")
		}
		bare := newRing(t, newRoot(t), memory{}, nil)
		for name, err := range map[string]error{
			"ShredTenant": bare.ShredTenant(ctx, acme),
			"Destroy":     bare.Destroy(ctx, acme, keyring.Version{Kind: keyring.KEK, Version: 1}),
			"RotateRoot":  second(bare.RotateRoot(ctx, nil)),
		} {
			if !errors.Is(err, keyring.ErrNoRotation) {
				t.Errorf("%s of a store that cannot: %v", name, err)
			}
		}
		for _, err := range bare.Retired(ctx, acme) {
			if !errors.Is(err, keyring.ErrNoRotation) {
				t.Errorf("Retired of a store that cannot: %v", err)
			}
		}
	})
}

// TestLimitIsLifted: a data key that has sealed all it may is rotated, and what
// has not heard of it goes on under the old one as far as that was counted.
func TestLimitIsLifted(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root, store := t.Context(), newRoot(t), keyring.SQLStore(db, d)
		r := newRing(t, root, store, quick)
		noError(t, r.CreateTenant(ctx, acme))
		stale := value(newRing(t, root, store, nil).TenantCipher(ctx, acme))(t)
		table := map[migrate.Dialect]string{migrate.SQLite: "art32_key_uses", migrate.Postgres: "art32_keys.uses"}[d]
		_, err := db.ExecContext(ctx, `INSERT INTO `+table+` VALUES ($1, 'data', 1, $2)`, acme.String(), int64(1<<32-3<<12))
		noError(t, err)
		row := value(stale.Seal(nil, []byte("x"), place))(t) // reserves the first of three blocks
		value(r.Rotate(ctx, acme, keyring.DataKey, time.Now(), nil))(t)
		for range 1 << 12 { // beyond that block: a retired version still counts
			value(stale.Seal(nil, nil, place))(t)
		}
		c := value(r.TenantCipher(ctx, acme))(t)
		value(c.Open(nil, row, place))(t)
		if sealed := value(c.Seal(nil, nil, place))(t); sealed[4] != 2 {
			t.Errorf("sealed with version %d", sealed[4])
		}
		for err = nil; err == nil; _, err = stale.Seal(nil, nil, place) {
		}
		if !errors.Is(err, keyring.ErrLimit) {
			t.Error(err)
		}
		value(c.Seal(nil, nil, place))(t)
	})
}
