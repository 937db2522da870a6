package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/audittest"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// renew begins a new log of a tenant.
func (w *world) renew(tb testing.TB, tenant tenancy.ID, r audit.Renewal) {
	tb.Helper()
	must(tb, w.sealer.Renew(w.as(tb.Context()), tenant, r))
}

var rotation = audit.Renewal{Cause: audit.CauseRotation}

// Each key leads to the newest, and all that was sealed under one verifies under
// each.
func TestRotation(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		first := w.wantOK(t, nil)
		w.renew(t, w.a, rotation)
		w.sealed(t, 300)
		second := w.wantOK(t, nil)
		w.renew(t, w.a, rotation)
		w.seal(t)
		third := w.wantOK(t, nil)
		if first.Key == second.Key || second.Key == third.Key || first.Origin == second.Origin {
			t.Errorf("keys %s, %s, %s", first.Key, second.Key, third.Key)
		}
		for _, key := range []string{first.Key, second.Key, third.Key} {
			w.wantOK(t, &audit.VerifyOptions{Key: key, MaxPending: time.Hour, Log: w.log})
		}
		if r := w.verify(t, &audit.VerifyOptions{Key: first.PlatformKey}); kinds(r) == "" {
			t.Error("another log's key passes")
		}
		if len(third.Earlier) != 2 || third.Earlier[0].Size != 5 || third.Earlier[1].Size != 302 || third.Size != 2 ||
			third.Earlier[0].Origin != first.Origin || third.Earlier[1].Cause != audit.CauseRotation || third.Earlier[0].Dropped {
			t.Errorf("got %+v", third)
		}
		var n int
		for e, err := range w.log.Events(w.in(t.Context(), w.a), w.db, audit.Filter{}) {
			must(t, err)
			if e.Damaged || e.Index != int64(n) {
				t.Errorf("entry %d: %+v", n, e)
			}
			n++
		}
		if n != 5+302+2 {
			t.Errorf("got %d entries", n)
		}
	})
}

// The platform's key that is held outside stays good when it is rotated.
func TestPlatformRotation(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := w.platformKey(t, w.sealed(t, 3))
		w.renew(t, tenancy.ID{}, rotation)
		must(t, customers.Insert(w.in(t.Context(), w.b), w.db, &customer{Email: field.New("b@b.de"), City: "B", Plan: "p"}))
		w.seal(t)
		for _, tenant := range []tenancy.ID{w.a, w.b, {}} {
			r, err := audit.Verify(t.Context(), w.db, tenant, &audit.VerifyOptions{PlatformKey: old})
			must(t, err)
			if !r.OK() || r.PlatformKey == old {
				t.Errorf("got %+v", r)
			}
		}
		w.rawPlatform(t, `UPDATE art32.logs SET succession = replace(succession, 'rotation', 'period') WHERE tenant_id = TENANT AND shard = 1`)
		if r := w.verify(t, &audit.VerifyOptions{PlatformKey: old}); kinds(r) != "foreign log" {
			t.Errorf("got %+v", r)
		}
	})
}

func TestRenewRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := w.as(t.Context())
		wantErr(t, w.sealer.Renew(ctx, w.a, rotation), audit.ErrNoLog)
		wantErr(t, w.sealer.Renew(ctx, w.a, audit.Renewal{Cause: audit.CauseRestore}), audit.ErrNoLog)
		w.sealed(t, 2)
		wantErr(t, w.sealer.Renew(t.Context(), w.a, rotation), tenancy.ErrNoActor)
		wantErr(t, w.sealer.Renew(tenancy.WithReason(ctx, ""), w.a, rotation), tenancy.ErrNoReason)
		for _, r := range []audit.Renewal{{}, {Cause: audit.CausePeriod}, {Cause: audit.CauseRotation, Held: w.checkpoint(t)}} {
			wantErr(t, w.sealer.Renew(ctx, w.a, r), audit.ErrCause)
		}
		wantErr(t, w.sealer.Renew(ctx, w.a, audit.Renewal{Cause: audit.CauseRestore, Held: []byte("x")}), audit.ErrCheckpoint)
		w.raw(t, `UPDATE art32.logs SET size = 1 WHERE tenant_id = TENANT`)
		wantErr(t, w.sealer.Renew(ctx, w.a, rotation), audit.ErrDamaged)
	})
}

// A log ends after its period, when there is something for the next.
func TestPeriod(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Period: time.Nanosecond})
		must(t, err)
		for range 3 {
			w.customers(t, 2)
			_, err := s.SealDue(t.Context())
			must(t, err)
		}
		r := w.wantOK(t, nil)
		if len(r.Earlier) != 2 || r.Size != 3 || r.Earlier[1].Size != 3 || r.Earlier[0].Cause != audit.CausePeriod {
			t.Errorf("got %+v", r)
		}
		never, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Period: -1})
		must(t, err)
		w.customers(t, 2)
		_, err = never.SealDue(t.Context())
		must(t, err)
		if r := w.wantOK(t, nil); len(r.Earlier) != 2 || r.Size != 5 {
			t.Errorf("got %+v", r)
		}
	})
}

// A restored database looks rolled back until a restore is declared that names
// what was held outside; then no key is used a second time.
func TestRestoreDeclared(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		restore := w.snapshot(t)
		w.sealed(t, 3)
		middle := w.checkpoint(t)
		w.sealed(t, 2)
		late := w.checkpoint(t)
		w.renew(t, w.a, rotation) // lost too, with its key
		lost := w.verify(t, nil).Key
		o := &audit.VerifyOptions{Checkpoints: [][]byte{middle, late}}
		restore()
		if r := w.verify(t, o); kinds(r) != "tail cut" {
			t.Errorf("not declared: got %+v", r)
		}
		w.renew(t, w.a, audit.Renewal{Cause: audit.CauseRestore, Held: middle})
		w.sealed(t, 4)
		if r := w.verify(t, o); kinds(r) != "tail cut" || r.Key == lost {
			t.Errorf("an older one declared: got %+v", r)
		}
		r := w.wantOK(t, &audit.VerifyOptions{Checkpoints: [][]byte{middle}})
		if len(r.Earlier) != 1 || r.Earlier[0].Cause != audit.CauseRestore || r.Earlier[0].Lost != 3 || r.Earlier[0].Size != 5 {
			t.Errorf("got %+v", r)
		}
	})
}

// After a restore to a time before the first entry the log goes on under another
// key.
func TestRestoreOfNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		_, err := customers.Count(w.in(t.Context(), w.a), w.db) // makes the tenant's file
		must(t, err)
		restore := w.snapshot(t)
		w.sealed(t, 4)
		late := w.checkpoint(t)
		restore()
		w.renew(t, w.a, audit.Renewal{Cause: audit.CauseRestore, Held: late})
		w.sealed(t, 2)
		r := w.wantOK(t, &audit.VerifyOptions{Checkpoints: [][]byte{late}})
		if len(r.Earlier) != 1 || r.Earlier[0].Size != 0 || r.Earlier[0].Lost != 4 {
			t.Errorf("got %+v", r)
		}
	})
}

// chained are changes of a log of 5 entries and the one of 301 that follows it.
var chained = []audittest.Mutation{
	{Name: "edit an entry of an earlier log", SQL: []string{`UPDATE art32.events SET actor = 'person:x' WHERE leaf = 3 AND tenant_id = TENANT`}, Kind: audit.KindEdited, Index: 3},
	{Name: "delete an entry of an earlier log", SQL: []string{`DELETE FROM art32.events WHERE leaf = 2 AND tenant_id = TENANT`}, Kind: audit.KindDeleted, Index: 2},
	{Name: "cut the end of an earlier log", SQL: []string{`DELETE FROM art32.events WHERE leaf = 4 AND tenant_id = TENANT`}, Kind: audit.KindTailCut, Index: 4},
	{Name: "set an earlier log back", SQL: []string{
		`DELETE FROM art32.events WHERE leaf = 4 AND tenant_id = TENANT`,
		`UPDATE art32.logs SET size = 4 WHERE tenant_id = TENANT AND shard = 0`}, Kind: audit.KindTailCut, Index: 4},
	{Name: "empty a payload of an earlier log", SQL: []string{`UPDATE art32.event_parts SET ciphertext = NULL, subject = NULL
		WHERE event_id = (SELECT id FROM art32.events WHERE leaf = 3 AND tenant_id = TENANT)`}, Kind: audit.KindPayloadMissing, Index: 3},
	{Name: "move between logs", SQL: []string{
		`UPDATE art32.events SET leaf = 1000 WHERE leaf = 3 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 3 WHERE leaf = 100 AND tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = 100 WHERE leaf = 1000 AND tenant_id = TENANT`}, Kind: audit.KindEdited, Index: 3},
	{Name: "delete the first entry", SQL: []string{`DELETE FROM art32.events WHERE leaf = 5 AND tenant_id = TENANT`}, Kind: audit.KindDeleted, Index: 0},
	{Name: "exchange the succession in the log", SQL: []string{`UPDATE art32.event_parts SET ciphertext = (SELECT mac FROM art32.events LIMIT 1)
		WHERE event_id = (SELECT id FROM art32.events WHERE leaf = 5 AND tenant_id = TENANT)`}, Kind: audit.KindPayloadEdited, Index: 0},
	{Name: "edit the succession", SQL: []string{`UPDATE art32.logs SET succession = replace(succession, 'rotation', 'period') WHERE tenant_id = TENANT AND shard = 1`}, Kind: audit.KindCheckpoint, Index: -1},
	{Name: "delete the succession", SQL: []string{`UPDATE art32.logs SET succession = NULL WHERE tenant_id = TENANT AND shard = 1`}, Kind: audit.KindCheckpoint, Index: -1},
	{Name: "delete an earlier log's checkpoints", SQL: []string{`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT)`}, Kind: audit.KindCheckpoint, Index: 5},
	{Name: "delete an earlier log", SQL: []string{
		`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT)`,
		`DELETE FROM art32.tiles WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT)`,
		`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf < 5 AND tenant_id = TENANT)`,
		`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf < 5`,
		`DELETE FROM art32.logs WHERE tenant_id = TENANT AND shard = 0`}, Kind: audit.KindDeleted, Index: 0},
	{Name: "delete an earlier log and count from the next", SQL: []string{
		`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT)`,
		`DELETE FROM art32.tiles WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT)`,
		`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf < 5 AND tenant_id = TENANT)`,
		`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf < 5`,
		`DELETE FROM art32.logs WHERE tenant_id = TENANT AND shard = 0`,
		`UPDATE art32.logs SET base = 0, shard = 0, succession = NULL WHERE tenant_id = TENANT`,
		`UPDATE art32.events SET leaf = leaf - 5 + 100000 WHERE tenant_id = TENANT AND leaf >= 5`,
		`UPDATE art32.events SET leaf = leaf - 100000 WHERE tenant_id = TENANT AND leaf >= 100000`}, Kind: audit.KindDeleted, Index: 0},
	{Name: "say that an earlier log was dropped", SQL: []string{
		`UPDATE art32.logs SET dropped_at = 1 WHERE tenant_id = TENANT AND shard = 0`,
		`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf < 5 AND tenant_id = TENANT)`,
		`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf < 5`}, Kind: audit.KindTailCut, Index: 0},
	{Name: "delete the newest log", SQL: []string{
		`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 1 AND tenant_id = TENANT)`,
		`DELETE FROM art32.tiles WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 1 AND tenant_id = TENANT)`,
		`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf >= 5 AND tenant_id = TENANT)`,
		`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf >= 5`,
		`DELETE FROM art32.logs WHERE tenant_id = TENANT AND shard = 1`}, Kind: audit.KindTailCut, Index: 5},
	{Name: "drop by an entry that is not sealed", SQL: []string{
		`UPDATE art32.logs SET dropped_at = 1 WHERE tenant_id = TENANT AND shard = 0`,
		`INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac, leaf)
			SELECT UUID('00000000-8b86-4d11-b42d-00c04fc964ff'), tenant_id, at, writer, counter, actor, session, 'audit.drop',
			(SELECT id FROM art32.logs WHERE shard = 0 AND tenant_id = TENANT), 1, substr(digests, 1, 0), mac, 306 FROM art32.events WHERE leaf = 3 AND tenant_id = TENANT`,
		`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf < 5 AND tenant_id = TENANT)`,
		`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf < 5`}, Kind: audit.KindTailCut, Index: 0},
}

func TestVerifyFindsMutationsOfLogs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		w.renew(t, w.a, rotation)
		w.sealed(t, 299)
		w.mutate(t, chained)
	})
}

// A log that the platform's log says was opened, and that is gone without a trace
// of its own, is missed.
func TestVanishedLog(t *testing.T) { //nolint:paralleltest // it sets what others wait for
	t.Cleanup(audit.SetBeginsWithin(0))
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 5)
		w.renew(t, w.a, rotation)
		w.sealed(t, 2)
		w.raw(t, `UPDATE art32.logs SET ended_at = NULL WHERE tenant_id = TENANT`,
			`DELETE FROM art32.checkpoints WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 1 AND tenant_id = TENANT)`,
			`DELETE FROM art32.tiles WHERE tenant_id = TENANT AND log_id = (SELECT id FROM art32.logs WHERE shard = 1 AND tenant_id = TENANT)`,
			`DELETE FROM art32.event_parts WHERE tenant_id = TENANT AND event_id IN (SELECT id FROM art32.events WHERE leaf >= 5 AND tenant_id = TENANT)`,
			`DELETE FROM art32.events WHERE tenant_id = TENANT AND leaf >= 5`,
			`DELETE FROM art32.logs WHERE tenant_id = TENANT AND shard = 1`)
		if r := w.verify(t, nil); kinds(r) != "tail cut" {
			t.Errorf("got %+v", r)
		}
	})
}

// Renewals beside writers, sealers and verification: no fork, nothing lost, and
// nobody is blamed.
func TestRenewBesideSealers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var work sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			s, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Batch: 7, Period: 50 * time.Millisecond})
			must(t, err)
			work.Go(func() {
				for ctx.Err() == nil {
					if _, err := s.SealDue(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		work.Go(func() {
			defer cancel()
			for i := range 10 {
				w.erase(t, w.customers(t, 12)[3].ID)
				if err := w.sealer.Renew(w.as(t.Context()), w.a, rotation); err != nil && !errors.Is(err, audit.ErrNoLog) {
					t.Errorf("round %d: %v", i, err)
				}
			}
		})
		for ctx.Err() == nil {
			if r := w.verify(t, &audit.VerifyOptions{Log: w.log}); len(r.Findings) != 0 {
				t.Errorf("got %+v", r.Findings)
				break
			}
		}
		work.Wait()
		w.seal(t)
		r := w.wantOK(t, &audit.VerifyOptions{Log: w.log})
		var begun, n int
		for e, err := range w.log.Events(w.in(t.Context(), w.a), w.db, audit.Filter{}) {
			must(t, err)
			if n++; e.Action == "audit.begin" {
				begun++
			}
		}
		if begun != len(r.Earlier) || begun < 9 || n < 130+begun {
			t.Errorf("%d events, %d logs begun, %+v", n, begun, r)
		}
	})
}
