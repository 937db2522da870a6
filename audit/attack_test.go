package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// kinds are those of a report's findings.
func kinds(r *audit.Report) string {
	all := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		all[i] = string(f.Kind)
	}
	return strings.Join(all, ", ")
}

const forgedID = "'11111111-1111-4111-8111-111111111111'"

// forgeErasure removes the payload of entry 3 and adds an unsealed entry of
// erasure that says so.
func (w *world) forgeErasure(t *testing.T, at time.Time) {
	t.Helper()
	id, zeroes := forgedID, "zeroblob(32)"
	if w.engine == "postgres" {
		id, zeroes = "uuid "+forgedID, `decode(repeat('00', 32), 'hex')`
	}
	w.raw(t,
		`UPDATE art32.event_parts SET ciphertext = NULL, subject = NULL WHERE tenant_id = TENANT AND event_id = (SELECT id FROM art32.events WHERE leaf = 3 AND tenant_id = TENANT)`,
		fmt.Sprintf(`INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, outcome, digests, mac)
			SELECT %s, tenant_id, %d, writer, counter, actor, session, 'audit.erase', 1, %s, %s FROM art32.events WHERE leaf = 3 AND tenant_id = TENANT`,
			id, at.UnixMicro(), zeroes, zeroes),
		`INSERT INTO art32.event_parts (tenant_id, event_id, part, ciphertext)
			SELECT tenant_id, `+id+`, 0, digests FROM art32.events WHERE leaf = 3 AND tenant_id = TENANT`)
}

func TestUnsealedErasureIsNoExcuse(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		w.forgeErasure(t, time.UnixMicro(4102444800000000))
		r := w.verify(t, nil)
		if r.OK() || r.Overdue != 1 || kinds(r) != "payload missing" || r.Erased != 0 {
			t.Errorf("got %+v", r)
		}
		if r := w.verify(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log}); kinds(r) != "inserted, payload missing" {
			t.Errorf("with keys: got %+v", r)
		}
	})
}

// An honest erasure that waits is told apart from one that is sealed.
func TestErasureThatWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.erase(t, w.sealed(t, 5)[2].ID)
		if r := w.verify(t, nil); r.OK() || r.Overdue != 1 || r.ErasedPending != 1 || r.Erased != 0 || len(r.Findings) != 0 {
			t.Errorf("got %+v", r)
		}
		if r := w.wantOK(t, &audit.VerifyOptions{MaxPending: time.Hour}); r.ErasedPending != 1 || r.Erased != 0 {
			t.Errorf("got %+v", r)
		}
		if r := w.wantOK(t, &audit.VerifyOptions{MaxPending: time.Hour, Log: w.log}); r.ErasedPending != 0 || r.Erased != 1 {
			t.Errorf("with keys: got %+v", r)
		}
		w.raw(t, `UPDATE art32.event_parts SET ciphertext = digests FROM art32.events e
			WHERE e.tenant_id = TENANT AND e.leaf = 3 AND art32.event_parts.event_id IN (SELECT id FROM art32.events WHERE action = 'audit.erase')`)
		if r := w.verify(t, &audit.VerifyOptions{MaxPending: time.Hour}); kinds(r) != "payload missing" {
			t.Errorf("another manifest: got %+v", r)
		}
	})
}

func TestPendingMustBeYoung(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 1)
		w.customers(t, 1)
		for _, c := range []struct {
			at      time.Duration
			allowed time.Duration
			overdue int64
		}{
			{0, 0, 1}, {time.Second, 0, 1}, {time.Hour, 0, 1}, {5 * time.Second, time.Minute, 0},
			{time.Hour, time.Minute, 1}, {-30 * time.Second, time.Minute, 0}, {-2 * time.Minute, time.Minute, 1},
		} {
			w.raw(t, fmt.Sprintf(`UPDATE art32.events SET at = %d WHERE leaf IS NULL AND tenant_id = TENANT`, time.Now().Add(c.at).UnixMicro()))
			if r := w.verify(t, &audit.VerifyOptions{MaxPending: c.allowed}); r.Overdue != c.overdue || r.Pending != 1 {
				t.Errorf("%+v: got %+v", c, r)
			}
		}
	})
}

// What orders the entries is what is sealed.
func TestEventsFollowTheTree(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 300)
		if w.engine == "postgres" {
			w.raw(t, `ALTER TABLE art32.events ALTER COLUMN seq DROP IDENTITY`)
		}
		w.raw(t, `UPDATE art32.events SET seq = -leaf - 1 WHERE leaf BETWEEN 100 AND 199 AND tenant_id = TENANT`)
		w.wantOK(t, nil)
		got := w.entries(w.in(t.Context(), w.a), t, audit.Filter{})
		if len(got) != 300 {
			t.Fatalf("got %d entries", len(got))
		}
		for i, e := range got {
			if e.Index != int64(i) || !e.Sealed || e.Forged {
				t.Fatalf("entry %d: got %#v", i, e)
			}
		}
	})
}

// Sealing meanwhile neither hides nor repeats an event.
func TestEventsBesideSealer(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 300)
		w.customers(t, 600)
		seen := map[string]bool{}
		ctx, n := w.in(t.Context(), w.a), 0
		for e, err := range w.log.Events(ctx, w.db, audit.Filter{}) {
			must(t, err)
			if seen[e.ID.String()] {
				t.Fatal("an event came twice")
			}
			seen[e.ID.String()] = true
			if n++; n == 100 || n == 400 {
				w.seal(t)
				w.customers(t, 3)
			}
		}
		if n < 900 {
			t.Errorf("got %d events", n)
		}
	})
}

// A part that somebody put beside an event, or exchanged, hides nothing else.
func TestEventsGoOnOverDamage(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 4)
		ctx := w.in(t.Context(), w.a)
		ids := w.entries(ctx, t, audit.Filter{})
		w.raw(t,
			`INSERT INTO art32.event_parts (tenant_id, event_id, part, subject, ciphertext)
				SELECT tenant_id, event_id, 7, subject, ciphertext FROM art32.event_parts WHERE event_id = '`+ids[1].ID.String()+`'`,
			`UPDATE art32.event_parts SET ciphertext = (SELECT ciphertext FROM art32.event_parts WHERE event_id = '`+ids[0].ID.String()+`')
				WHERE event_id = '`+ids[2].ID.String()+`'`)
		got := w.entries(ctx, t, audit.Filter{})
		if len(got) != 4 || got[0].Damaged || !got[1].Damaged || !got[2].Damaged || got[3].Damaged {
			t.Fatalf("got %v", got)
		}
		if got[1].Reason == "" || got[2].Reason != "" {
			t.Errorf("reasons %q and %q", got[1].Reason, got[2].Reason)
		}
	})
}

func TestEventsMarkForgeries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 2)
		ctx := w.in(t.Context(), w.a)
		first := w.entries(ctx, t, audit.Filter{})[0].ID
		w.raw(t, `UPDATE art32.events SET actor = 'person:x' WHERE id = '`+first.String()+`'`)
		got := w.entries(ctx, t, audit.Filter{})
		if len(got) != 2 || !got[0].Forged || got[1].Forged || got[0].Reason != "" || got[1].Reason == "" {
			t.Fatalf("got %v", got)
		}
		if s := got[0].String() + got[0].LogValue().String(); strings.Count(s, "forged") != 2 {
			t.Errorf("does not say so: %s", s)
		}
		if s := got[1].String() + got[1].LogValue().String(); strings.Contains(s, "forged") {
			t.Errorf("says so: %s", s)
		}
	})
}

// A key of another, with the log's name, and all that it can sign.
func TestVerifyFindsAnotherKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		r := w.verify(t, nil)
		vkey, sign, err := audit.NewTestSigner(r.Origin, bytes.Repeat([]byte{7}, 32))
		must(t, err)
		note, err := sign(r.Size, tlog.Hash(r.Root))
		must(t, err)
		quoted := strings.NewReplacer("art32.audit", "art32' || '.audit") // raw writes art32.x as a table
		w.raw(t, `UPDATE art32.logs SET vkey = '`+quoted.Replace(vkey)+`' WHERE tenant_id = TENANT`,
			`UPDATE art32.checkpoints SET note = '`+quoted.Replace(string(note))+`' WHERE tenant_id = TENANT`)
		if r := w.verify(t, nil); kinds(r) != "checkpoint" {
			t.Errorf("got %+v", r)
		}
	})
}

// The platform's entry is part of what is verified.
func TestVerifyDemandsTheOpening(t *testing.T) {
	for name, text := range map[string]string{
		"deleted":   `DELETE FROM art32.events WHERE action = 'audit.open' AND tenant_id = TENANT`,
		"unsealed":  `UPDATE art32.events SET leaf = NULL WHERE action = 'audit.open' AND tenant_id = TENANT`,
		"edited":    `UPDATE art32.events SET actor = 'service:x' WHERE action = 'audit.open' AND tenant_id = TENANT`,
		"moved":     `UPDATE art32.events SET leaf = leaf + 100 WHERE action = 'audit.open' AND tenant_id = TENANT`,
		"unsigned":  `DELETE FROM art32.checkpoints WHERE tenant_id = TENANT`,
		"tile gone": `DELETE FROM art32.tiles WHERE tenant_id = TENANT`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, w *world) {
				w.sealed(t, 2)
				w.rawPlatform(t, text)
				if r := w.verify(t, nil); kinds(r) != "foreign log" {
					t.Errorf("got %+v", r)
				}
				r, err := audit.Verify(t.Context(), w.db, tenancy.ID{}, nil)
				must(t, err)
				if r.OK() {
					t.Error("the platform's log verifies")
				}
			})
		})
	}
}

// foreign makes a log and a sealer of another installation, with other keys.
func (w *world) foreign(t *testing.T) (*audit.Log, *audit.Sealer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.key")
	must(t, keyring.CreateKeyFile(path))
	root, err := keyring.KeyFile(path)
	must(t, err)
	store, err := sqlite.OpenKeystore(t.Context(), filepath.Join(t.TempDir(), "keys"))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	keys, err := keyring.New(root, store, nil)
	must(t, err)
	must(t, keys.CreateTenant(t.Context(), w.a.UUID()))
	log, err := audit.New(keys, nil)
	must(t, err)
	sealer, err := audit.NewSealer(log, w.db, &audit.SealerOptions{Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	return log, sealer
}

// A log of another installation is complete and fits its key, and is found: by
// the platform's log, or where that was replaced too by its key.
func TestVerifyFindsForeignLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		key := w.platformKey(t, w.sealed(t, 5))
		var keep, wipe, back []string
		for _, table := range auditTables {
			keep = append(keep, `CREATE TABLE copy_`+table+` AS SELECT * FROM art32.`+table+` WHERE tenant_id = TENANT`)
			wipe = append([]string{`DELETE FROM art32.` + table + ` WHERE tenant_id = TENANT`}, wipe...)
			overriding := ""
			if table == "events" && w.engine == "postgres" {
				overriding = " OVERRIDING SYSTEM VALUE"
			}
			back = append(back, `INSERT INTO art32.`+table+overriding+` SELECT * FROM copy_`+table)
		}
		w.rawPlatform(t, append(keep, wipe...)...)
		w.raw(t, wipe...)
		log, sealer := w.foreign(t)
		must(t, w.db.In(w.in(t.Context(), w.a), func(ctx context.Context, _ *tenancy.Tx) error { return log.Record(ctx, "a.b") }))
		_, err := sealer.SealDue(t.Context())
		must(t, err)
		w.wantOK(t, nil) // all was replaced
		o := &audit.VerifyOptions{PlatformKey: key}
		if r := w.verify(t, o); kinds(r) != "foreign log" {
			t.Errorf("with the platform's key: got %+v", r)
		}
		if r, err := audit.Verify(t.Context(), w.db, tenancy.ID{}, o); err != nil || r.OK() {
			t.Errorf("the platform's log: got %+v, %v", r, err)
		}
		w.rawPlatform(t, append(wipe, back...)...)
		for _, o := range []*audit.VerifyOptions{nil, o} {
			if r := w.verify(t, o); kinds(r) != "foreign log" {
				t.Errorf("got %+v", r)
			}
		}
	})
}

// platformKey is the key to hold outside; it is the same in all reports.
func (w *world) platformKey(t *testing.T, _ []*customer) string {
	t.Helper()
	r, err := audit.Verify(t.Context(), w.db, tenancy.ID{}, nil)
	must(t, err)
	if r.PlatformKey == "" || r.PlatformKey != r.Key || w.verify(t, nil).PlatformKey != r.Key {
		t.Fatalf("got %q and %q", r.PlatformKey, r.Key)
	}
	w.wantOK(t, &audit.VerifyOptions{PlatformKey: r.Key})
	return r.Key
}

// Damage of what is held outside is told as that.
func TestHeldCheckpointDamaged(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		cp := w.checkpoint(t)
		cp[len(cp)-9] ^= 1
		r := w.verify(t, &audit.VerifyOptions{Checkpoints: [][]byte{cp}})
		if kinds(r) != "checkpoint" || r.Findings[0].Index != -1 || !strings.Contains(r.Findings[0].Text, "held outside is forged, damaged or of another log") {
			t.Errorf("got %+v", r)
		}
	})
}

// An event that is deleted before the seal leaves its payload, which is found.
func TestPayloadWithoutEvent(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 2)
		w.customers(t, 2)
		w.raw(t, `DELETE FROM art32.events WHERE leaf IS NULL AND tenant_id = TENANT`)
		if r := w.verify(t, nil); kinds(r) != "inserted, inserted" {
			t.Errorf("got %+v", r)
		}
	})
}
