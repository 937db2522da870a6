package keyring_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/dbtest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// bodies are nonce and encrypted key of each version with bytes, by name and
// version.
func bodies(tb testing.TB, store keyring.Store, tenant uuid.UUID, state keyring.State) (out [][]byte) {
	tb.Helper()
	for _, records := range versions(tb, store, tenant) {
		for _, rec := range records {
			if rec.State == state {
				out = append(out, rec.Wrapped[5:49])
			}
		}
	}
	return out
}

// partsOf counts which of the bodies have a part in files.
func partsOf(files []byte, bodies [][]byte) (found int) {
	for _, b := range bodies {
		if bytes.Contains(files, b[:16]) || bytes.Contains(files, b[28:]) {
			found++
		}
	}
	return found
}

// TestNoBytesLeftOfVersions reads the keystore's files after versions were
// destroyed, keys wrapped anew under another root and KEK, and a tenant
// shredded.
func TestNoBytesLeftOfVersions(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	dir := t.TempDir()
	db := openFile(t, filepath.Join(dir, "keys.db"))
	ctx, store, old := t.Context(), keyring.SQLStore(db, migrate.SQLite), newRoot(t)
	r := newRing(t, old, store, quick)
	all, others := seal(t, r, acme, 120), seal(t, r, bolt, 120)
	gone := func(what string, parts [][]byte, do func()) {
		t.Helper()
		if n := partsOf(readAll(t, dir), parts); n != len(parts) {
			t.Fatalf("%s: %d of %d are where this test looks", what, n, len(parts))
		}
		do()
		if n := partsOf(readAll(t, dir), parts); n > 0 {
			t.Errorf("%s: parts of %d of %d keys are still on disk", what, n, len(parts))
		}
	}
	wrapped := bodies(t, store, acme, keyring.Active)
	gone("wrapped by the old KEK", wrapped, func() {
		value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
		destroyRetired(t, r, acme)
	})
	for _, kind := range kinds {
		value(r.Rotate(ctx, acme, kind, time.Now(), nil))(t)
		all.more(t, newRing(t, old, store, quick))
	}
	gone("retired versions", bodies(t, store, acme, keyring.Retired), func() { destroyRetired(t, r, acme) })
	keks := [][]byte{value(store.Get(ctx, bolt, []string{"tenant"}))(t)[0].Wrapped[5:49]}
	next := newRoot(t)
	gone("wrapped by the old root", keks, func() {
		value(newRing(t, value(keyring.Roots(next, old))(t), store, quick).RotateRoot(ctx, nil))(t)
	})
	r = newRing(t, next, store, quick)
	gone("a tenant", bodies(t, store, acme, keyring.Active), func() { noError(t, r.ShredTenant(ctx, acme)) })
	others.opens(t, r)
}

// TestResidueOfVersions keeps a reader in the write-ahead log: what was decided
// stands, and whoever asked is told that bytes may remain.
func TestResidueOfVersions(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ctx context.Context, r *keyring.Ring) error{
		"Destroy": func(ctx context.Context, r *keyring.Ring) error {
			return r.Destroy(ctx, acme, keyring.Version{Kind: keyring.KEK, Version: 1})
		},
		"ShredTenant": func(ctx context.Context, r *keyring.Ring) error { return r.ShredTenant(ctx, acme) },
		"RotateRoot":  func(ctx context.Context, r *keyring.Ring) error { return second(r.RotateRoot(ctx, nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, ctx := openSQLite(t), t.Context()
			store, old := keyring.SQLStore(db, migrate.SQLite), newRoot(t)
			noError(t, newRing(t, old, store, nil).CreateTenant(ctx, acme))
			r := newRing(t, value(keyring.Roots(newRoot(t), old))(t), store, quick)
			value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
			ripe(t, r, acme)
			reader := value(db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}))(t)
			var n int
			noError(t, reader.QueryRowContext(ctx, `SELECT count(*) FROM art32_keys`).Scan(&n))
			short, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			if err := do(short, r); !errors.Is(err, keyring.ErrResidue) {
				t.Errorf("with a reader: %v", err)
			}
			noError(t, reader.Rollback())
			noError(t, do(ctx, r))
		})
	}
}

// TestVersionsLeftInPostgres states what is true of the row versions that
// retiring, wrapping anew, destroying and shredding leave behind: VACUUM takes
// them out of the rows of the heap, yet their bytes lie in the free space of
// its pages until other rows come to lie there or VACUUM FULL writes the table
// anew.
func TestVersionsLeftInPostgres(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	db := openPostgres(t)
	ctx, store := t.Context(), keyring.SQLStore(db, migrate.Postgres)
	r := newRing(t, newRoot(t), store, quick)
	seal(t, r, acme, 50)
	seal(t, r, bolt, 1)
	parts := bodies(t, store, acme, keyring.Active)
	value(r.Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
	parts = append(parts, bodies(t, store, acme, keyring.Active)...)
	value(r.Rotate(ctx, acme, keyring.SubjectKeys, time.Now(), nil))(t)
	destroyRetired(t, r, acme)
	parts = append(parts, bodies(t, store, acme, keyring.Active)...)
	noError(t, r.ShredTenant(ctx, acme))
	if rows, _ := heap(t, db); partsOf(rows, parts) == 0 {
		t.Error("nothing is where this test looks")
	}
	asOwner(t, db, `VACUUM art32_keys.keys`)
	rows, free := heap(t, db)
	if n := partsOf(rows, parts); n > 0 {
		t.Errorf("after VACUUM rows hold parts of %d of %d keys", n, len(parts))
	}
	t.Logf("after VACUUM parts of %d of %d keys lie in free space", partsOf(free, parts), len(parts))
	asOwner(t, db, `VACUUM (FULL) art32_keys.keys`)
	rows, free = heap(t, db)
	if n := partsOf(append(rows, free...), parts); n > 0 {
		t.Errorf("after VACUUM FULL parts of %d of %d keys are left", n, len(parts))
	}
	if n := partsOf(rows, bodies(t, store, bolt, keyring.Active)); n == 0 {
		t.Error("the neighbour's keys are gone")
	}
}

func asOwner(t *testing.T, db *sql.DB, texts ...string) {
	t.Helper()
	owner := value(db.Conn(t.Context()))(t)
	defer owner.Close()
	exec := func(text string) {
		if _, err := owner.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec(`SET ROLE NONE`)
	for _, text := range texts {
		if strings.HasPrefix(text, "VACUUM") {
			dbtest.Settled(t, owner)
		}
		exec(text)
	}
	exec(`SET ROLE art32_library`)
}

// heap is what lies in the pages of the table: rows, and the free space between
// them and the line pointers, from pd_lower to pd_upper (PostgreSQL 17
// documentation, section 66.6, Database Page Layout).
func heap(t *testing.T, db *sql.DB) (rows, free []byte) {
	t.Helper()
	asOwner(t, db, `CREATE EXTENSION IF NOT EXISTS pageinspect`)
	owner := value(db.Conn(t.Context()))(t)
	defer owner.Close()
	_, err := owner.ExecContext(t.Context(), `SET ROLE NONE`)
	noError(t, err)
	pages := value(owner.QueryContext(t.Context(), `SELECT get_raw_page('art32_keys.keys', n::int)
FROM generate_series(0, pg_relation_size('art32_keys.keys') / current_setting('block_size')::int - 1) n`))(t)
	defer pages.Close()
	for pages.Next() {
		var page []byte
		noError(t, pages.Scan(&page))
		lower, upper := binary.NativeEndian.Uint16(page[12:]), binary.NativeEndian.Uint16(page[14:])
		free = append(free, page[lower:upper]...)
		rows = append(append(rows, page[:lower]...), page[upper:]...)
	}
	noError(t, pages.Err())
	_, err = owner.ExecContext(t.Context(), `SET ROLE art32_library`)
	noError(t, err)
	return rows, free
}
