package keyring_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/crypto/keyring/keyringtest"
	"github.com/art32/art32/internal/migrate"
	"github.com/google/uuid"
)

// keystore is one with two tenants, some people and a secret.
type keystore struct {
	root   keyring.Wrapper
	store  keyring.Store
	ring   *keyring.Ring
	people []uuid.UUID
	sealed []byte // of the first one, at acme
	erased uuid.UUID
}

func newKeystore(tb testing.TB, root keyring.Wrapper, db *sql.DB, d migrate.Dialect) keystore {
	tb.Helper()
	k := keystore{root: root, store: keyring.SQLStore(db, d), people: subjects(3), erased: uuid.New()}
	k.ring = newRing(tb, root, k.store, nil)
	ctx := tb.Context()
	for _, tenant := range []uuid.UUID{acme, bolt} {
		noError(tb, k.ring.CreateTenant(ctx, tenant))
		value(k.ring.CreateCiphers(ctx, tenant, k.people))(tb)
	}
	k.sealed = value(value(k.ring.Cipher(ctx, acme, k.people[0]))(tb).Seal(nil, []byte("plain"), place))(tb)
	value(k.ring.Secret(ctx, uuid.Nil, "audit/seed"))(tb)
	value(value(k.ring.TenantCipher(ctx, acme))(tb).Seal(nil, []byte("plain"), place))(tb)
	noError(tb, k.ring.Shred(ctx, acme, k.erased))
	return k
}

func (k keystore) copy(tb testing.TB) []byte {
	tb.Helper()
	var out bytes.Buffer
	value(k.ring.WriteCopy(tb.Context(), &out))(tb)
	return out.Bytes()
}

// opens checks that the keys of k are in the keystore of r.
func (k keystore) opens(tb testing.TB, r *keyring.Ring) {
	tb.Helper()
	ctx := tb.Context()
	value(value(r.Cipher(ctx, acme, k.people[0]))(tb).Open(nil, k.sealed, place))(tb)
	if !bytes.Equal(value(k.ring.Secret(ctx, uuid.Nil, "audit/seed"))(tb), value(r.Secret(ctx, uuid.Nil, "audit/seed"))(tb)) {
		tb.Error("another secret")
	}
	for _, id := range append(slices.Clone(k.people), k.erased) {
		if got := value(r.Ciphers(ctx, acme, []uuid.UUID{id}))(tb)[id]; (got == nil) != (id == k.erased) {
			tb.Errorf("key of %s: %v", id, got)
		}
	}
	if !value(r.Erased(ctx, acme, k.erased))(tb) {
		tb.Error("the tombstone is missing")
	}
	value(r.Check(ctx))(tb)
}

// TestCopy carries a keystore from each engine into each.
func TestCopy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		k := newKeystore(t, newRoot(t), db, d)
		text := k.copy(t)
		contents := value(k.ring.CheckCopy(t.Context(), bytes.NewReader(text)))(t)
		// check value; KEK, index and data key of two tenants and the platform; six
		// people, a secret, a tombstone
		if contents.Records != 1+3*3+6+1+1 || contents.Tombstones != 1 || int(contents.Records) != bytes.Count(text, []byte("\n"))-2 {
			t.Errorf("the copy holds %+v", contents)
		}
		engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
			r := newRing(t, k.root, keyring.SQLStore(db, d), nil)
			for i := range 2 {
				done := value(r.RestoreCopy(t.Context(), bytes.NewReader(text)))(t)
				if want := contents.Records * int64(1-i); done.Added != want || done.Erased != 0 || done.Records != contents.Records {
					t.Errorf("time %d: %+v", i, done)
				}
			}
			k.opens(t, newRing(t, k.root, keyring.SQLStore(db, d), nil))
			if again := (keystore{ring: r}).copy(t); !bytes.Equal(lines(text), lines(again)) {
				t.Errorf("the copy of the copy differs:\n%s\n%s", lines(text), lines(again))
			}
		})
	})
}

// lines are the records of a copy, in one order.
func lines(text []byte) []byte {
	all := bytes.SplitAfter(text, []byte("\n"))
	all = all[1 : len(all)-2]
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

// TestCopyMovesForward restores into a keystore that is used.
func TestCopyMovesForward(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, k := t.Context(), newKeystore(t, newRoot(t), db, d)
		early := k.copy(t)
		noError(t, k.ring.Shred(ctx, acme, k.people[1]))
		late := k.copy(t)
		fresh := uuid.New()
		value(k.ring.CreateCipher(ctx, acme, fresh))(t)

		done := value(k.ring.RestoreCopy(ctx, bytes.NewReader(early)))(t)
		if done.Added != 0 || done.Erased != 0 {
			t.Errorf("an earlier copy: %+v", done)
		}
		cold := newRing(t, k.root, k.store, nil)
		if _, err := cold.Cipher(ctx, acme, k.people[1]); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("an earlier copy brings a key back: %v", err)
		}
		value(cold.Cipher(ctx, acme, fresh))(t)
		k.opensBut(t, cold, 1)

		engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
			store := keyring.SQLStore(db, d)
			r := newRing(t, k.root, store, nil)
			value(r.RestoreCopy(ctx, bytes.NewReader(early)))(t)
			value(r.Cipher(ctx, acme, k.people[1]))(t) // warm here
			if done := value(r.RestoreCopy(ctx, bytes.NewReader(late)))(t); done.Added != 0 || done.Erased != 1 {
				t.Errorf("a later copy: %+v", done)
			}
			for name, ring := range map[string]*keyring.Ring{"warm": r, "cold": newRing(t, k.root, store, nil)} {
				if _, err := ring.Cipher(ctx, acme, k.people[1]); !errors.Is(err, keyring.ErrErased) {
					t.Errorf("%s: a key that the later copy says is erased: %v", name, err)
				}
			}
			for _, rec := range value(store.Get(ctx, acme, []string{"subject/" + k.people[1].String()}))(t) {
				if len(rec.Wrapped) > 0 {
					t.Error("its bytes are still there")
				}
			}
		})
	})
}

// opensBut checks that all people but one have their keys.
func (k keystore) opensBut(tb testing.TB, r *keyring.Ring, but int) {
	tb.Helper()
	for i, c := range k.people {
		if got := value(r.Ciphers(tb.Context(), acme, []uuid.UUID{c}))(tb)[c]; (got == nil) != (i == but) {
			tb.Errorf("key %d: %v", i, got)
		}
	}
}

// TestCopyOfErasedTenant: keys whose KEK is erased or missing do not come in.
func TestCopyOfErasedTenant(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
		text := k.copy(t)
		store := keyring.SQLStore(db, d)
		noError(t, store.Shred(ctx, acme, "tenant", time.Now()))
		value(newRing(t, k.root, store, nil).RestoreCopy(ctx, bytes.NewReader(text)))(t)
		for _, rec := range value(store.Get(ctx, acme, []string{"tenant", "index", "data", "subject/" + k.people[0].String()}))(t) {
			if len(rec.Wrapped) > 0 {
				t.Errorf("%s of an erased tenant came back", rec.Name)
			}
		}
		r := newRing(t, k.root, store, nil)
		value(r.Cipher(ctx, bolt, k.people[0]))(t)
		if got := value(r.Ciphers(ctx, acme, k.people))(t); got[k.people[0]] != nil {
			t.Error("a cipher of an erased tenant")
		}
	})
}

// TestCopyErasesTenant: a copy that holds a tenant's tombstone leaves no bytes of
// the tenant's keys in a keystore where it lives, nor in the next copy.
func TestCopyErasesTenant(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
		early := k.copy(t)
		noError(t, k.ring.ShredTenant(ctx, acme))
		late := k.copy(t)
		store := keyring.SQLStore(db, d)
		r := newRing(t, k.root, store, nil)
		value(r.RestoreCopy(ctx, bytes.NewReader(early)))(t)
		value(r.CreateCipher(ctx, acme, uuid.New()))(t) // which no copy knows
		for range 2 {
			value(r.RestoreCopy(ctx, bytes.NewReader(late)))(t)
			for name, records := range versions(t, store, acme) {
				for _, rec := range records {
					if rec.State == keyring.Active || rec.State == keyring.Retired || rec.Wrapped != nil {
						t.Errorf("%s is %s, with %d bytes", name, rec.State, len(rec.Wrapped))
					}
				}
			}
		}
		value(r.Cipher(ctx, bolt, k.people[0]))(t)
		if _, err := r.CreateCipher(ctx, acme, uuid.New()); !errors.Is(err, keyring.ErrErased) {
			t.Errorf("a key of an erased tenant: %v", err)
		}
	})
}

// TestResidueOfCopy keeps a reader in the write-ahead log: the tombstones of a copy
// stand, and a call that finds them there empties the log all the same.
func TestResidueOfCopy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, root, dir := t.Context(), newRoot(t), t.TempDir()
	k := newKeystore(t, root, openSQLite(t), migrate.SQLite)
	early := k.copy(t)
	noError(t, k.ring.Shred(ctx, acme, k.people[1]))
	late := k.copy(t)
	db := openFile(t, filepath.Join(dir, "keys.db"))
	store := keyring.SQLStore(db, migrate.SQLite)
	r := newRing(t, root, store, nil)
	value(r.RestoreCopy(ctx, bytes.NewReader(early)))(t)
	wrapped := value(store.Get(ctx, acme, []string{"subject/" + k.people[1].String()}))(t)[0].Wrapped[5:49]
	reader := value(db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}))(t)
	var n int
	noError(t, reader.QueryRowContext(ctx, `SELECT count(*) FROM art32_keys`).Scan(&n))
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := r.RestoreCopy(short, bytes.NewReader(late)); !errors.Is(err, keyring.ErrResidue) {
		t.Errorf("with a reader: %v", err)
	}
	noError(t, reader.Rollback())
	if !bytes.Contains(readAll(t, dir), wrapped) {
		t.Error("nothing is where this test looks")
	}
	value(r.RestoreCopy(ctx, bytes.NewReader(late)))(t)
	if bytes.Contains(readAll(t, dir), wrapped) {
		t.Error("a key that the copy says is erased is still on disk")
	}
}

// TestCopyBesideDamage restores what is missing into a keystore with a damaged KEK,
// whose tenant's keys cannot be compared with those of the copy.
func TestCopyBesideDamage(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	ctx, root := t.Context(), newRoot(t)
	k := newKeystore(t, root, openSQLite(t), migrate.SQLite)
	early := k.copy(t)
	value(newRing(t, root, k.store, quick).Rotate(ctx, bolt, keyring.KEK, time.Now(), nil))(t) // other bytes
	person := uuid.New()
	value(k.ring.CreateCipher(ctx, acme, person))(t)
	late := k.copy(t)
	db := openSQLite(t)
	r := newRing(t, root, keyring.SQLStore(db, migrate.SQLite), nil)
	value(r.RestoreCopy(ctx, bytes.NewReader(early)))(t)
	damaged := value(db.ExecContext(ctx, `UPDATE art32_keys SET wrapped = randomblob(length(wrapped)) WHERE name = 'tenant' AND tenant_id = $1`, bolt.String()))(t)
	if n := value(damaged.RowsAffected())(t); n != 1 {
		t.Fatalf("%d rows", n)
	}
	value(r.RestoreCopy(ctx, bytes.NewReader(late)))(t)
	value(r.Cipher(ctx, acme, person))(t)
	if _, err := r.Cipher(ctx, bolt, k.people[0]); !errors.Is(err, keyring.ErrDamaged) {
		t.Errorf("the damaged tenant: %v", err)
	}
}

// TestCopyCounts: messages that were counted stay so.
func TestCopyCounts(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
		const used = 1 << 12 // the first block
		text := k.copy(t)
		store := keyring.SQLStore(db, d)
		r := newRing(t, k.root, store, nil)
		value(r.RestoreCopy(ctx, bytes.NewReader(text)))(t)
		if ok := value(store.Reserve(ctx, acme, "data", 1, 10, used+9))(t); ok {
			t.Error("the count was lost")
		}
		if ok := value(store.Reserve(ctx, acme, "data", 1, 10, used+10))(t); !ok {
			t.Error("more is counted than was used")
		}
		value(r.RestoreCopy(ctx, bytes.NewReader(text)))(t)
		if ok := value(store.Reserve(ctx, acme, "data", 1, 10, used+19))(t); ok {
			t.Error("the count went back")
		}
	})
}

// TestCopyRefused changes a copy in every line, and cuts it off behind each.
func TestCopyRefused(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	k := newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	text := string(k.copy(t))
	all := strings.SplitAfter(text, "\n")
	all = all[:len(all)-1]
	last := len(all) - 1
	changed := map[string]string{
		"empty": "", "no copy": "hello\n", "only its end": all[last], "JSON": "{}\n", "list": "[]\n",
		"a line behind": text + all[3], "a byte behind": text + "x", "twice": text + text, "no last line feed": text[:len(text)-1],
		"version 2":     strings.Replace(text, "copy v1", "copy v2", 1),
		"another time":  strings.Replace(text, `"at":"2`, `"at":"3`, 1),
		"no time":       strings.Replace(text, `"at":"2`, `"at":"x`, 1),
		"a new field":   strings.Replace(text, `{"tenant"`, `{"x":1,"tenant"`, 1),
		"state back":    strings.Replace(text, `"state":"erased"`, `"state":"active"`, 1),
		"count":         strings.Replace(text, `"uses":`, `"uses":1`, 1),
		"other records": strings.Replace(text, `{"records":`, `{"records":1`, 1),
		"CRLF":          strings.ReplaceAll(text, "\n", "\r\n"),
		"long line":     all[0] + strings.Repeat("x", 10<<20) + "\n",
		"no line":       strings.Repeat("x", 10<<20),
		"NUL":           strings.Repeat("\x00", 1000),
	}
	for i, line := range all {
		changed["cut before line "+line[:12]+string(rune('a'+i))] = strings.Join(all[:i], "")
		changed["torn in line "+line[:12]+string(rune('a'+i))] = strings.Join(all[:i], "") + line[:len(line)/2]
		if i > 0 && i < last {
			changed["without line "+string(rune('a'+i))] = strings.Join(slices.Delete(slices.Clone(all), i, i+1), "")
			swapped := slices.Clone(all)
			swapped[i], swapped[1] = swapped[1], swapped[i]
			if i > 1 {
				changed["line moved "+string(rune('a'+i))] = strings.Join(swapped, "")
			}
		}
		at := len(strings.Join(all[:i], "")) + strings.LastIndexAny(line, "0123456789")
		digit := "7"
		if text[at] == '7' {
			digit = "8"
		}
		changed["digit in line "+string(rune('a'+i))] = text[:at] + digit + text[at+1:]
	}
	target := newRing(t, k.root, keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
	for name, bad := range changed {
		if bad == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		_, err := k.ring.CheckCopy(t.Context(), strings.NewReader(bad))
		_, errRestore := target.RestoreCopy(t.Context(), strings.NewReader(bad))
		if !errors.Is(err, keyring.ErrCopyRefused) || !errors.Is(errRestore, keyring.ErrCopyRefused) {
			t.Errorf("%s: %v, %v", name, err, errRestore)
		}
	}
	for _, attr := range value(target.Check(t.Context()))(t) {
		if attr.Key == "tenants" && attr.Value.Int64() != 0 {
			t.Error("something of a copy that was refused was restored")
		}
	}
}

func TestCopyOfAnotherRoot(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	text := k.copy(t)
	other := newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	for name, r := range map[string]*keyring.Ring{
		"its own keystore":             other.ring,
		"an empty one":                 newRing(t, other.root, keyring.SQLStore(openSQLite(t), migrate.SQLite), nil),
		"the right root, not the keys": newRing(t, k.root, other.store, nil),
	} {
		if _, err := r.RestoreCopy(ctx, bytes.NewReader(text)); !errors.Is(err, keyring.ErrRoot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other.opens(t, newRing(t, other.root, other.store, nil))
}

// TestCopyIntoKeystoreBegunAnew: where keys were made since under the same names,
// those of the copy would find no place.
func TestCopyIntoKeystoreBegunAnew(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	text := k.copy(t)
	anew := newRing(t, k.root, keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
	noError(t, anew.CreateTenant(ctx, uuid.Nil))
	if _, err := anew.RestoreCopy(ctx, bytes.NewReader(text)); !errors.Is(err, keyring.ErrCopyRefused) || errors.Is(err, keyring.ErrRoot) {
		t.Error(err)
	}
	second := newRoot(t)
	both := value(keyring.Roots(second, k.root))(t)
	value(newRing(t, both, k.store, nil).RotateRoot(ctx, nil))(t)
	done := value(newRing(t, both, k.store, nil).RestoreCopy(ctx, bytes.NewReader(text)))(t)
	if done.Added != 0 {
		t.Errorf("the same keystore under a new root: %+v", done)
	}
}

// TestCopyBesideKeysMadeAnew: after an older copy was restored a person whom it did
// not know got another key under the same name. A newer copy tells.
func TestCopyBesideKeysMadeAnew(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
		older, person := k.copy(t), uuid.New()
		sealed := value(value(k.ring.CreateCipher(ctx, acme, person))(t).Seal(nil, []byte("x"), place))(t)
		newer := k.copy(t)
		store := keyring.SQLStore(db, d)
		r := newRing(t, k.root, store, nil)
		value(r.RestoreCopy(ctx, bytes.NewReader(older)))(t)
		value(r.CreateCipher(ctx, acme, person))(t)
		before := value(store.Get(ctx, acme, []string{"subject/" + person.String()}))(t)
		if _, err := r.RestoreCopy(ctx, bytes.NewReader(newer)); !errors.Is(err, keyring.ErrCopyRefused) || !strings.Contains(err.Error(), person.String()) {
			t.Error(err)
		}
		if after := value(store.Get(ctx, acme, []string{"subject/" + person.String()}))(t); len(after) != 1 || !bytes.Equal(after[0].Wrapped, before[0].Wrapped) {
			t.Error("it was refused and changed something")
		}
		value(newRing(t, k.root, store, quick).Rotate(ctx, acme, keyring.KEK, time.Now(), nil))(t)
		if done := value(r.RestoreCopy(ctx, bytes.NewReader(older)))(t); done.Added != 0 {
			t.Errorf("the same keys under a new KEK: %+v", done)
		}
		fresh := newRing(t, k.root, keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
		value(fresh.RestoreCopy(ctx, bytes.NewReader(newer)))(t)
		value(value(fresh.Cipher(ctx, acme, person))(t).Open(nil, sealed, place))(t)
	})
}

// TestCopyWithKMS has a service wrap the key of the code.
func TestCopyWithKMS(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	ctx, kms := t.Context(), keyringtest.NewKMS(t)
	k := newKeystore(t, kms.Root(), openSQLite(t), migrate.SQLite)
	text := k.copy(t)
	r := newRing(t, kms.Root(), keyring.SQLStore(openSQLite(t), migrate.SQLite), nil)
	kms.Fail(-1, 503)
	if _, err := r.RestoreCopy(ctx, bytes.NewReader(text)); err == nil || errors.Is(err, keyring.ErrRoot) || errors.Is(err, keyring.ErrCopyRefused) {
		t.Errorf("the service is down: %v", err)
	}
	if _, err := r.WriteCopy(ctx, io.Discard); err == nil || errors.Is(err, keyring.ErrRoot) {
		t.Errorf("the service is down: %v", err)
	}
	kms.Fail(0, 0)
	value(r.RestoreCopy(ctx, bytes.NewReader(text)))(t)
	k.opens(t, r)
}

// TestCopyChangesWhileRead is restored from a file that is exchanged between
// the check and the reading.
func TestCopyChangesWhileRead(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.2")
	t.Parallel()
	ctx, k := t.Context(), newKeystore(t, newRoot(t), openSQLite(t), migrate.SQLite)
	early := k.copy(t)
	noError(t, k.ring.Shred(ctx, acme, k.people[1]))
	late := k.copy(t)
	for pass := 1; pass <= 2; pass++ {
		store := keyring.SQLStore(openSQLite(t), migrate.SQLite)
		_, err := newRing(t, k.root, store, nil).RestoreCopy(ctx, &exchanged{Reader: bytes.NewReader(late), with: early, at: pass})
		if !errors.Is(err, keyring.ErrCopyRefused) {
			t.Errorf("pass %d: %v", pass, err)
		}
		if got := value(store.Get(ctx, acme, []string{"subject/" + k.people[1].String()}))(t); len(got) > 0 {
			t.Errorf("pass %d: a key of the other copy came in", pass)
		}
	}
}

// exchanged is another file from the nth time on that it is read anew.
type exchanged struct {
	*bytes.Reader

	with []byte
	at   int
}

func (e *exchanged) Seek(offset int64, whence int) (int64, error) {
	if e.at--; e.at == 0 {
		e.Reader = bytes.NewReader(e.with)
	}
	return e.Reader.Seek(offset, whence)
}

func TestCopyWithoutCopier(t *testing.T) {
	t.Parallel()
	r := newRing(t, newRoot(t), memory{}, nil)
	if _, err := r.WriteCopy(t.Context(), io.Discard); err == nil {
		t.Error("a store that cannot be copied was copied")
	}
	if _, err := r.RestoreCopy(t.Context(), bytes.NewReader(nil)); err == nil {
		t.Error("a store that cannot be restored was restored")
	}
}

// TestKeptCopy opens a copy of every version that was ever written.
func TestKeptCopy(t *testing.T) {
	t.Attr("art32.measure", "TOM-7.3")
	t.Parallel()
	engines(t, func(t *testing.T, db *sql.DB, d migrate.Dialect) {
		var v keptCopy
		noError(t, json.Unmarshal(value(os.ReadFile("testdata/copy-v1.json"))(t), &v))
		r := newRing(t, keptRoot(t), keyring.SQLStore(db, d), nil)
		done := value(r.RestoreCopy(t.Context(), strings.NewReader(v.Copy)))(t)
		if done.Records != v.Records || done.Tombstones != v.Tombstones || !done.At.Equal(v.At) {
			t.Errorf("%+v", done)
		}
		got := value(value(r.Cipher(t.Context(), v.Tenant, v.Subject))(t).Open(nil, unhex(t, v.Sealed), place))(t)
		if string(got) != v.Plain {
			t.Errorf("opened %q", got)
		}
		if !value(r.Erased(t.Context(), v.Tenant, v.Erased))(t) {
			t.Error("the tombstone is missing")
		}
		if err := second(r.CheckCopy(t.Context(), strings.NewReader(strings.Replace(v.Copy, "active", "erased", 1)))); !errors.Is(err, keyring.ErrCopyRefused) {
			t.Errorf("changed: %v", err)
		}
	})
}

func FuzzCopy(f *testing.F) {
	var v keptCopy
	noError(f, json.Unmarshal(value(os.ReadFile("testdata/copy-v1.json"))(f), &v))
	r := newRing(f, keptRoot(f), keyring.SQLStore(openSQLite(f), migrate.SQLite), nil)
	f.Add([]byte(v.Copy))
	f.Add([]byte(v.Copy[:len(v.Copy)/2]))
	f.Add([]byte(v.Copy + v.Copy))
	f.Add([]byte(strings.SplitAfter(v.Copy, "\n")[0]))
	f.Add([]byte(`{"format":"art32 keystore copy v1","at":"2026-01-02T03:04:05.000Z","key":"AAAA"}` + "\n" + `{"records":0,"mac":""}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		contents, err := r.CheckCopy(t.Context(), bytes.NewReader(text))
		if err == nil && string(text) != v.Copy {
			t.Errorf("a copy that was never written is accepted: %+v", contents)
		}
		if err != nil && !errors.Is(err, keyring.ErrCopyRefused) {
			t.Error(err)
		}
		keyring.ReadCopyLines(text)
	})
}
