package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func TestSealerSealsAllTenants(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.customers(t, 3)
		must(t, customers.Insert(w.in(t.Context(), w.b), w.db, &customer{Email: field.New("b@b.de"), City: "B", Plan: "p"}))
		if n := w.seal(t); n != 6 { // with two logs opened; the making of the tenants was sealed at once
			t.Errorf("sealed %d", n)
		}
		origins := map[string]bool{}
		for _, id := range []tenancy.ID{w.a, w.b, {}} {
			r, err := audit.Verify(t.Context(), w.db, id, nil)
			must(t, err)
			if !r.OK() || r.Size == 0 {
				t.Errorf("got %+v", r)
			}
			origins[r.Origin] = true
		}
		if len(origins) != 3 {
			t.Errorf("logs share a name: %v", origins)
		}
		if n := w.seal(t); n != 0 {
			t.Errorf("sealed %d again", n)
		}
	})
}

// Any number of sealers beside writers and each other: one log, each event once.
func TestSealersNeverFork(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const writers, each = 4, 60
		ctx, cancel := context.WithCancel(t.Context())
		var sealing, writing sync.WaitGroup
		for range 3 {
			s, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Batch: 7})
			must(t, err)
			sealing.Go(func() {
				for ctx.Err() == nil {
					if _, err := s.SealDue(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range writers {
			writing.Go(func() {
				for range each {
					err := customers.Insert(w.in(t.Context(), w.a), w.db, &customer{Email: field.New("x@y.de"), City: "C", Plan: "p"})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
		cancel()
		sealing.Wait()
		w.seal(t)
		if r := w.wantOK(t, &audit.VerifyOptions{Log: w.log}); r.Size != writers*each {
			t.Errorf("got %+v", r)
		}
	})
}

// Verification beside writers, a sealer and erasure blames nobody.
func TestVerifyBesideWriters(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var work sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		work.Go(func() {
			defer cancel()
			for range 8 {
				all := w.customers(t, 20)
				w.erase(t, all[3].ID)
				w.seal(t)
			}
		})
		for ctx.Err() == nil {
			if r := w.verify(t, &audit.VerifyOptions{Log: w.log}); len(r.Findings) != 0 {
				t.Errorf("got %+v", r.Findings)
				break
			}
		}
		work.Wait()
		w.wantOK(t, nil)
	})
}

func TestSealerRun(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		s, err := audit.NewSealer(w.log, w.db, &audit.SealerOptions{Interval: 10 * time.Millisecond, Lease: time.Second})
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		w.customers(t, 3)
		for w.verify(t, nil).Size != 3 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		wantErr(t, <-done, context.Canceled)
		w.wantOK(t, nil)
	})
}

// A sealer with other keys than the log's signs nothing.
func TestSealerRefusesOtherKey(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 2)
		w.raw(t, `UPDATE art32.logs SET vkey = 'other' WHERE tenant_id = TENANT`)
		w.customers(t, 1)
		if _, err := w.sealer.SealDue(t.Context()); err == nil {
			t.Error("sealed under another key")
		}
	})
}

// A head that no checkpoint of the log's key says is never continued, however well
// its tiles fit it.
func TestSealerRefusesForgedHead(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 1)
		w.sealed(t, 1)
		w.raw(t, `DELETE FROM art32.checkpoints WHERE tenant_id = TENANT`)
		w.customers(t, 1)
		if _, err := w.sealer.SealDue(t.Context()); !errors.Is(err, audit.ErrDamaged) {
			t.Errorf("sealed on a head that nobody has signed: %v", err)
		}
	})
}

// Damaged tiles are never continued.
func TestSealerRefusesDamagedTiles(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		w.raw(t, `UPDATE art32.tiles SET data = (SELECT mac FROM art32.events LIMIT 1) WHERE tenant_id = TENANT`)
		w.customers(t, 1)
		if _, err := w.sealer.SealDue(t.Context()); err == nil {
			t.Error("sealed on damaged tiles")
		}
	})
}

const (
	envKill  = "ART32_TEST_KILL_AT"
	envWorld = "ART32_TEST_WORLD"
	envRenew = "ART32_TEST_RENEW"
)

// TestSealerChild is no test of its own: it seals and dies at a step.
func TestSealerChild(t *testing.T) {
	step := os.Getenv(envKill)
	if step == "" {
		return
	}
	var at tenancytest.Place
	must(t, json.Unmarshal([]byte(os.Getenv(envWorld)), &at))
	w := openWorld(t, at)
	w.sealer.OnStep(func(name string) {
		if name == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			time.Sleep(time.Minute)
		}
	})
	if os.Getenv(envRenew) != "" {
		w.renew(t, w.a, rotation)
	}
	w.seal(t)
}

func TestSealerKilledAtEachStep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		var total int64
		for _, step := range []string{"read", "opening", "opened", "queued", "committed", "read", "queued"} {
			w.customers(t, 5)
			total += 5
			w.killAt(t, step, "")
			if r := w.verify(t, nil); len(r.Findings) != 0 {
				t.Errorf("killed at %s: %+v", step, r.Findings)
			}
		}
		w.seal(t)
		if r := w.wantOK(t, &audit.VerifyOptions{Log: w.log}); r.Size != total {
			t.Errorf("got %+v", r)
		}
	})
}

// A renewal that is killed anywhere is whole or can be repeated.
func TestRenewKilledAtEachStep(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		for _, step := range []string{"opening", "opened", "beginning", "renewed"} {
			w.customers(t, 2)
			w.killAt(t, step, "1")
			if r := w.verify(t, nil); len(r.Findings) != 0 {
				t.Errorf("killed at %s: %+v", step, r.Findings)
			}
		}
		w.renew(t, w.a, rotation)
		w.seal(t)
		if r := w.wantOK(t, &audit.VerifyOptions{Log: w.log}); len(r.Earlier) != 2 {
			t.Errorf("got %+v", r)
		}
	})
}

func (w *world) killAt(t *testing.T, step, renew string) {
	t.Helper()
	w.killChild(t, "TestSealerChild", envKill+"="+step, envRenew+"="+renew)
}

// killChild runs a test in a process of its own, which must be killed.
func (w *world) killChild(t *testing.T, test string, env ...string) {
	t.Helper()
	if w.engine == "sqlite" {
		must(t, w.db.Close())
		defer func() { w.take(w.Reopen(t)) }()
	}
	at, err := json.Marshal(w.Place)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(append(os.Environ(), env...), envWorld+"="+string(at))
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the child was to be killed at %s: %v\n%s", env, err, out)
	}
}
