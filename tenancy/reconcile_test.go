package tenancy_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

// yesterday takes a copy of the keystore, and gives what puts it back in place of
// the one that is there, as an operator would.
func yesterday(t *testing.T, w *tenancytest.World) (restore func()) {
	t.Helper()
	if w.Engine == tenancytest.Postgres {
		db, err := sql.Open("pgx", w.Owner)
		must(t, err)
		t.Cleanup(func() { _ = db.Close() })
		exec := func(texts ...string) {
			for _, text := range texts {
				_, err := db.ExecContext(t.Context(), text)
				must(t, err)
			}
		}
		exec("CREATE SCHEMA saved", "CREATE TABLE saved.keys AS SELECT * FROM art32_keys.keys")
		return func() {
			exec("ALTER TABLE art32_keys.keys DISABLE TRIGGER USER", "DELETE FROM art32_keys.keys",
				"INSERT INTO art32_keys.keys SELECT * FROM saved.keys", "ALTER TABLE art32_keys.keys ENABLE TRIGGER USER")
		}
	}
	path, saved := filepath.Join(w.KeysDir, "keystore.db"), filepath.Join(t.TempDir(), "keystore.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.ExecContext(t.Context(), "VACUUM INTO '"+saved+"'")
	must(t, errors.Join(err, db.Close()))
	return func() {
		must(t, errors.Join(w.DB.Close(), w.Store.(io.Closer).Close()))
		for _, end := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + end); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(saved)
		must(t, err)
		must(t, os.WriteFile(path, text, 0o600))
	}
}

// TestOldKeystore: who was erased stays erased though the keystore is yesterday's.
func TestOldKeystore(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			var logged bytes.Buffer
			o := officeOptions(engine, nil)
			o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			w := tenancytest.New(t, office, o)
			a, b := w.In(t, w.A), w.In(t, w.B)
			people := fillOffice(a, t, w.DB, 4)
			fillOffice(b, t, w.DB, 1)
			must(t, w.DB.Erase(a, people[0])) // before the copy
			restore := yesterday(t, w)
			must(t, w.DB.Erase(a, people[1]))
			must(t, w.DB.Erase(a, people[2]))
			must(t, w.DB.EraseTenant(b))
			restore()
			alive(t, w, people)
			logged.Reset()
			before := time.Now().UTC().Truncate(time.Microsecond)
			after := w.Reopen(t)
			for i, id := range people {
				p, err := persons.Get(a, after.DB, id)
				must(t, err)
				if _, err = p.Name.Reveal(); errors.Is(err, field.ErrErased) != (i < 3) {
					t.Errorf("person %d: %v", i, err)
				}
				gone, err := after.Keys.Erased(a, w.A.UUID(), id)
				if err != nil || gone != (i < 3) {
					t.Errorf("person %d: tombstone %t, %v", i, gone, err)
				}
			}
			if _, err := after.Keys.TenantCipher(b, w.B.UUID()); !errors.Is(err, keyring.ErrErased) {
				t.Errorf("the erased tenant's key: %v", err)
			}
			if got := strings.Count(logged.String(), "keystore was older"); got != replays(t, after) || got == 0 {
				t.Errorf("%d lines, %d events:\n%s", got, replays(t, after), logged.String())
			}
			r, err := after.DB.ErasureRecord(a, people[1])
			must(t, err)
			if r.ReplayedAt.Before(before) || r.Horizon.Sub(r.ReplayedAt) != 14*24*time.Hour+time.Minute {
				t.Errorf("destroyed again at %s, horizon %s", r.ReplayedAt, r.Horizon)
			}
			n := replays(t, after)
			again := w.Reopen(t)
			if _, err := persons.Get(a, again.DB, people[0]); err != nil || replays(t, again) != n {
				t.Errorf("%v; %d replays, then %d", err, n, replays(t, again))
			}
		})
	}
}

// TestOldKeystoreBetween: the key of the erasure that ended last was destroyed
// before the copy was made; that of one that ended earlier, after it.
func TestOldKeystoreBetween(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.2")
			w := tenancytest.New(t, office, officeOptions(engine, nil))
			a, b := w.In(t, w.A), w.In(t, w.B)
			people := fillOffice(a, t, w.DB, 3)
			fillOffice(b, t, w.DB, 1)
			interrupted := func(ctx context.Context, erase func(context.Context) error) {
				ctx, cancel := context.WithCancel(ctx)
				w.DB.OnStep(func(step string) {
					if step == "shredded" {
						cancel()
					}
				})
				if err := erase(ctx); err == nil {
					t.Fatal("it was not interrupted")
				}
				w.DB.OnStep(nil)
			}
			interrupted(a, func(ctx context.Context) error { return w.DB.Erase(ctx, people[0]) })
			restore := yesterday(t, w)
			must(t, w.DB.Erase(a, people[1]))
			must(t, w.DB.EraseTenant(b))
			must(t, w.DB.Erase(a, people[0]))
			restore()
			after := w.Reopen(t)
			for i, id := range people {
				p, err := persons.Get(a, after.DB, id)
				must(t, err)
				if _, err := p.Name.Reveal(); errors.Is(err, field.ErrErased) != (i < 2) {
					t.Errorf("person %d: %v", i, err)
				}
			}
			if _, err := after.Keys.TenantCipher(b, w.B.UUID()); !errors.Is(err, keyring.ErrErased) {
				t.Errorf("the erased tenant's key: %v", err)
			}
		})
	}
}

// TestForgedErasure: who may write the data cannot have a key destroyed.
func TestForgedErasure(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		for _, what := range []string{"person", "tenant", "code of another"} {
			t.Run(engine+"/"+what, func(t *testing.T) {
				t.Parallel()
				t.Attr("art32.measure", "TOM-7.2")
				w := tenancytest.New(t, office, officeOptions(engine, nil))
				a := w.In(t, w.A)
				people := fillOffice(a, t, w.DB, 3)
				must(t, w.DB.Erase(a, people[0]))
				forge(t, w, what, people)
				must(t, w.DB.Close())
				for range 2 {
					if err := opensAndReads(a, t, w, people[1]); !errors.Is(err, tenancy.ErrForgedErasure) {
						t.Errorf("%v", err)
					}
				}
				if gone, err := w.Keys.Erased(a, w.A.UUID(), people[1]); gone || err != nil {
					t.Errorf("the key was destroyed: %v", err)
				}
				if gone, err := w.Keys.ErasedTenant(a, w.A.UUID()); gone || err != nil {
					t.Errorf("the tenant's keys were destroyed: %v", err)
				}
			})
		}
	}
}

// opensAndReads opens the database once more and uses the tenant.
func opensAndReads(ctx context.Context, t *testing.T, w *tenancytest.World, id uuid.UUID) error {
	t.Helper()
	db, err := openEngine(ctx, w, w.Keys, w.Log, officeOptions(w.Engine, nil))
	if err != nil {
		return err
	}
	_, err = persons.Get(ctx, db, id)
	return errors.Join(err, db.Close())
}

// forge says in the data that somebody was erased, as who may write them would.
func forge(t *testing.T, w *tenancytest.World, what string, people []uuid.UUID) {
	t.Helper()
	texts := map[string]string{
		"person": "INSERT INTO art32_erased (tenant_id, subject, erased_at) VALUES ($1, $2, '2026-01-01 00:00:00+00:00')",
		"code of another": "INSERT INTO art32_erased (tenant_id, subject, erased_at, code)" +
			" SELECT $1, $2, erased_at, code FROM art32_erased LIMIT 1",
		"tenant": "UPDATE art32_tenants SET erased_at = created_at, closed_at = created_at WHERE id = $1",
	}
	text, args := texts[what], []any{w.A.String(), people[1].String()}
	db := rawTenant(t, w, w.A)
	if what == "tenant" {
		args = args[:1]
		if w.Engine == tenancytest.SQLite {
			var err error
			db, err = sql.Open("sqlite", filepath.Join(w.Dir, "platform.db"))
			must(t, err)
		}
	}
	if w.Engine == tenancytest.Postgres {
		text = strings.ReplaceAll(text, "art32_", "art32.")
	}
	_, err := db.ExecContext(t.Context(), text, args...)
	must(t, errors.Join(err, db.Close()))
}

// alive makes sure that the copy has brought the keys back.
func alive(t *testing.T, w *tenancytest.World, people []uuid.UUID) {
	t.Helper()
	ring := ringOf(t, w)
	for i, id := range people {
		gone, err := ring.Erased(t.Context(), w.A.UUID(), id)
		if err != nil || gone != (i == 0) {
			t.Fatalf("the copy of the keystore: person %d erased %t, %v", i, gone, err)
		}
	}
	if gone, err := ring.ErasedTenant(t.Context(), w.B.UUID()); err != nil || gone {
		t.Fatalf("the copy of the keystore: tenant erased %t, %v", gone, err)
	}
}

// replays counts the events of keystores that were older than the data.
func replays(t *testing.T, w *tenancytest.World) (n int) {
	t.Helper()
	for e, err := range w.Log.Events(w.In(t, tenancy.ID{}), w.DB, audit.Filter{Platform: true, Action: "keystore.replay"}) {
		must(t, err)
		if e.Actor != "service:tenancy/open" && e.Actor != w.Actor.String() {
			t.Errorf("by %s", e.Actor)
		}
		n++
	}
	return n
}

// TestOldData: an older copy of the data beside the newer keystore is served as it
// is: its erased people cannot be read.
func TestOldData(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newOffice(t, tenancytest.SQLite, nil)
	ctx := w.In(t, w.A)
	id := fillOffice(ctx, t, w.DB, 1)[0]
	path := filepath.Join(w.Dir, "tenants", w.A.String()+".db")
	saved := filepath.Join(t.TempDir(), "tenant.db")
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.ExecContext(ctx, "VACUUM INTO '"+saved+"'")
	must(t, errors.Join(err, db.Close()))
	must(t, w.DB.Erase(ctx, id))
	must(t, w.DB.Close())
	_ = os.Remove(path + "-wal")
	must(t, os.WriteFile(path, file(t, saved), 0o600))
	after := w.Reopen(t)
	p, err := persons.Get(ctx, after.DB, id)
	must(t, err)
	if _, err := p.Name.Reveal(); !errors.Is(err, field.ErrErased) || p.City == "" {
		t.Errorf("Reveal: %v; city %q, which the copy of the data has", err, p.City)
	}
	if n := replays(t, after); n != 0 {
		t.Errorf("%d replays", n)
	}
	must(t, after.DB.Erase(ctx, id))
	checkErased(ctx, t, after.DB, id)
}

// TestReconcileBesideAFullLog: where the event cannot be written nothing is served.
func TestReconcileBesideAFullLog(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			w := newOffice(t, engine, nil)
			ctx := w.In(t, w.A)
			id := fillOffice(ctx, t, w.DB, 1)[0]
			restore := yesterday(t, w)
			must(t, w.DB.Erase(ctx, id))
			must(t, w.DB.EraseTenant(w.In(t, w.B)))
			restore()
			o := officeOptions(engine, nil)
			ring := ringOf(t, w)
			log, err := audit.New(ring, nil)
			must(t, err)
			db, err := openEngine(t.Context(), w, ring, deafLog{log}, o)
			if err == nil {
				t.Cleanup(func() { _ = db.Close() })
			}
			if !errors.Is(err, errFull) {
				t.Errorf("%v, want the log's error", err)
			}
		})
	}
}

// deafLog has no room for what a replay leaves.
type deafLog struct{ *audit.Log }

func (l deafLog) Change(ctx context.Context, tx *tenancy.Tx, c tenancy.Change) error {
	if c.Action == "keystore.replay" {
		return errFull
	}
	return l.Log.Change(ctx, tx, c)
}
