package keyring_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/bubbletest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

func checkAbsent(t *testing.T, text string, key []byte) {
	t.Helper()
	for _, form := range []string{string(key), hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key), fmt.Sprint(key)} {
		if strings.Contains(text, form) {
			t.Error("key bytes are there")
		}
	}
}

func TestShred(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, root := t.Context(), newRoot(t)
		r := newRing(t, root, keyring.SQLStore(db, d), nil)
		noError(t, r.CreateTenant(ctx, acme))
		people := subjects(2)
		value(r.CreateCiphers(ctx, acme, people))(t)
		if gone, err := r.Erased(ctx, acme, people[0]); gone || err != nil {
			t.Errorf("before: %t, %v", gone, err)
		}
		for range 2 {
			noError(t, r.Shred(ctx, acme, people[0]))
		}
		for name, ring := range map[string]*keyring.Ring{"here": r, "elsewhere": newRing(t, root, keyring.SQLStore(db, d), nil)} {
			if gone, err := ring.Erased(ctx, acme, people[0]); !gone || err != nil {
				t.Errorf("%s: erased %t, %v", name, gone, err)
			}
			for verb, err := range map[string]error{
				"Cipher":       second(ring.Cipher(ctx, acme, people[0])),
				"CreateCipher": second(ring.CreateCipher(ctx, acme, people[0])),
			} {
				if !errors.Is(err, keyring.ErrErased) || !errors.Is(err, field.ErrErased) {
					t.Errorf("%s: %s: %v", name, verb, err)
				}
			}
			got := value(ring.CreateCiphers(ctx, acme, people))(t)
			if c, there := got[people[0]]; c != nil || !there || got[people[1]] == nil {
				t.Errorf("%s: bulk: %v", name, got)
			}
		}
		never := uuid.New() // erased before it ever had a key
		noError(t, r.Shred(ctx, acme, never))
		if _, err := newRing(t, root, keyring.SQLStore(db, d), nil).CreateCipher(ctx, acme, never); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("never created: %v", err)
		}
	})
}

// TestOtherInstances may use a warm key until the TTL ends, not longer.
func TestOtherInstances(t *testing.T) {
	bubbletest.Run(t, func(t *testing.T) {
		db := openSQLite(t)
		defer db.Close()
		ctx, root, person := t.Context(), newRoot(t), uuid.New()
		one := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
		two := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
		noError(t, one.CreateTenant(ctx, acme))
		value(one.CreateCipher(ctx, acme, person))(t)
		value(two.Cipher(ctx, acme, person))(t)
		noError(t, one.Shred(ctx, acme, person))
		value(two.Cipher(ctx, acme, person))(t)
		time.Sleep(two.TTL())
		if _, err := two.Cipher(ctx, acme, person); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("after the TTL: %v", err)
		}
	})
}

// TestDestroyedStays tries to bring a key back with the rights the library has.
func TestDestroyedStays(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, person := t.Context(), uuid.New()
		store := keyring.SQLStore(db, d)
		r := newRing(t, newRoot(t), store, nil)
		noError(t, r.CreateTenant(ctx, acme))
		value(r.CreateCipher(ctx, acme, person))(t)
		name := "subject/" + person.String()
		saved := value(store.Get(ctx, acme, []string{name}))(t)
		noError(t, r.Shred(ctx, acme, person))
		back := value(store.Insert(ctx, saved))(t)
		if len(back) != 1 || back[0].State != keyring.Erased || back[0].Wrapped != nil {
			t.Errorf("insert over a tombstone: %+v", back)
		}
		table := map[migrate.Dialect]string{migrate.SQLite: "art32_keys", migrate.Postgres: "art32_keys.keys"}[d]
		state := map[migrate.Dialect]string{migrate.SQLite: "code = 2", migrate.Postgres: "state = 'active'"}[d]
		for _, text := range []string{
			`UPDATE ` + table + ` SET ` + state + `, wrapped = $1 WHERE name = $2`,
			`UPDATE ` + table + ` SET version = 9, name = $2 WHERE name = $2 AND $1 = $1`,
			`DELETE FROM ` + table + ` WHERE name = $2 AND $1 = $1`,
		} {
			if _, err := db.ExecContext(ctx, text, saved[0].Wrapped, name); err == nil {
				t.Errorf("%s: allowed", text)
			}
		}
	})
}

// TestNoBytesLeft reads the keystore's files as they lie on disk, after pages
// were split and merged by many keys that came and went.
func TestNoBytesLeft(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	dir := t.TempDir()
	db := openFile(t, filepath.Join(dir, "keys.db"))
	ctx := t.Context()
	store := keyring.SQLStore(db, migrate.SQLite)
	r := newRing(t, newRoot(t), store, nil)
	noError(t, r.CreateTenant(ctx, acme))
	people := subjects(400)
	for part := range slices.Chunk(people, 7) {
		value(r.CreateCiphers(ctx, acme, part))(t)
	}
	gone := make(map[string][]byte)
	for _, p := range people[:300] {
		name := "subject/" + p.String()
		wrapped := value(store.Get(ctx, acme, []string{name}))(t)[0].Wrapped
		gone[name] = wrapped[5:49] // nonce and encrypted key
	}
	files := readAll(t, dir)
	for name, key := range gone {
		if !bytes.Contains(files, key) {
			t.Fatalf("%s is not where this test looks", name)
		}
	}
	for i, p := range people[:300] {
		noError(t, r.Shred(ctx, acme, p))
		if i%10 == 0 {
			value(r.CreateCiphers(ctx, acme, subjects(3)))(t)
		}
	}
	files = readAll(t, dir)
	left := 0
	for _, key := range gone {
		if bytes.Contains(files, key[:16]) || bytes.Contains(files, key[28:]) {
			left++
		}
	}
	if left > 0 {
		t.Errorf("parts of %d of %d shredded keys are still on disk", left, len(gone))
	}
}

func readAll(t *testing.T, dir string) (all []byte) {
	t.Helper()
	for _, e := range value(os.ReadDir(dir))(t) {
		all = append(all, value(os.ReadFile(filepath.Join(dir, e.Name())))(t)...)
	}
	return all
}

// TestResidue keeps a reader in the write-ahead log: the tombstone stands, and
// Shred says that the bytes may not be gone.
func TestResidue(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	ctx, person := t.Context(), uuid.New()
	r := newRing(t, newRoot(t), keyring.SQLStore(db, migrate.SQLite), nil)
	noError(t, r.CreateTenant(ctx, acme))
	value(r.CreateCipher(ctx, acme, person))(t)
	reader := value(db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}))(t)
	var n int
	noError(t, reader.QueryRowContext(ctx, `SELECT count(*) FROM art32_keys`).Scan(&n))
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := r.Shred(short, acme, person); !errors.Is(err, keyring.ErrResidue) {
		t.Errorf("with a reader: %v", err)
	}
	if _, err := r.Cipher(ctx, acme, person); !errors.Is(err, keyring.ErrErased) {
		t.Errorf("the tombstone does not stand: %v", err)
	}
	noError(t, reader.Rollback())
	noError(t, r.Shred(ctx, acme, person))
}

// TestBytesLeftInPostgres states what is true: VACUUM removes the old row
// version from the heap, which the library's role cannot do.
func TestBytesLeftInPostgres(t *testing.T) {
	t.Parallel()
	db := openPostgres(t)
	ctx, person := t.Context(), uuid.New()
	store := keyring.SQLStore(db, migrate.Postgres)
	r := newRing(t, newRoot(t), store, nil)
	noError(t, r.CreateTenant(ctx, acme))
	value(r.CreateCipher(ctx, acme, person))(t)
	wrapped := value(store.Get(ctx, acme, []string{"subject/" + person.String()}))(t)[0].Wrapped
	noError(t, r.Shred(ctx, acme, person))
	owner := value(db.Conn(ctx))(t)
	defer owner.Close()
	asOwner(t, db, `CREATE EXTENSION IF NOT EXISTS pageinspect`, `VACUUM art32_keys.keys`, `CHECKPOINT`)
	_, err := owner.ExecContext(ctx, `SET ROLE NONE`)
	noError(t, err)
	var found bool
	noError(t, owner.QueryRowContext(ctx, `SELECT position($1::bytea IN get_raw_page('art32_keys.keys', 0)) > 0`, wrapped[5:49]).Scan(&found))
	if found {
		t.Error("the heap holds the shredded key after VACUUM")
	}
}
