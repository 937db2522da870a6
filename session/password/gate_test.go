package password_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/art32/art32/session/password"
)

const mib = 1 << 20

// TestGateKeepsTheBudget lets hashes of three sizes contend and counts what
// they hold together.
func TestGateKeepsTheBudget(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	synctest.Test(t, func(t *testing.T) {
		const budget = 64 * mib
		g := password.NewGate(budget, 100)
		var held, most atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			need := []int64{19 * mib, 46 * mib, 64 * mib}[i%3]
			wg.Go(func() {
				if err := g.Acquire(t.Context(), need); err != nil {
					t.Error(err)
					return
				}
				now := held.Add(need)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				<-time.After(time.Duration(need)) // holds it while others come
				held.Add(-need)
				g.Release(need)
			})
		}
		wg.Wait()
		if most.Load() > budget || most.Load() < 57*mib {
			t.Errorf("%d MiB were held at once", most.Load()/mib)
		}
		if g.Free() != budget || g.Waiting() != 0 {
			t.Errorf("%d bytes left, %d wait", g.Free(), g.Waiting())
		}
	})
}

// TestNobodyOvertakes: a small one that fits waits behind a large one.
func TestNobodyOvertakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := password.NewGate(10, 10)
		noError(t, g.Acquire(t.Context(), 6))
		served := make(chan int64, 2) // who was served
		for _, need := range []int64{8, 2} {
			go func() {
				if err := g.Acquire(t.Context(), need); err != nil {
					t.Error(err)
				}
				served <- need
				g.Release(need)
			}()
			synctest.Wait()
		}
		if g.Free() != 4 || g.Waiting() != 2 {
			t.Errorf("%d left, %d wait", g.Free(), g.Waiting())
		}
		ctx, cancel := context.WithCancel(t.Context())
		third := make(chan error, 1)
		go func() { third <- g.Acquire(ctx, 9) }()
		synctest.Wait()
		cancel()
		if err := <-third; !errors.Is(err, context.Canceled) || g.Waiting() != 2 {
			t.Errorf("cancelled in the queue: %v, %d wait", err, g.Waiting())
		}
		g.Release(6) // both fit now
		synctest.Wait()
		if len(served) != 2 || g.Free() != 10 || g.Waiting() != 0 {
			t.Errorf("%d served, %d left, %d wait", len(served), g.Free(), g.Waiting())
		}
	})
}

// TestLeavingTheHead lets those behind a cancelled large one go on.
func TestLeavingTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := password.NewGate(10, 10)
		noError(t, g.Acquire(t.Context(), 6))
		ctx, cancel := context.WithCancel(t.Context())
		large, small := make(chan error, 1), make(chan error, 1)
		go func() { large <- g.Acquire(ctx, 10) }()
		synctest.Wait()
		go func() { small <- g.Acquire(t.Context(), 4) }()
		synctest.Wait()
		cancel()
		if err := <-large; !errors.Is(err, context.Canceled) {
			t.Errorf("the large one: %v", err)
		}
		if err := <-small; err != nil || g.Free() != 0 {
			t.Errorf("the small one: %v, %d left", err, g.Free())
		}
	})
}

// TestCancelMeetsGrant grants to one who is about to leave, many times: nothing
// is lost.
func TestCancelMeetsGrant(t *testing.T) {
	t.Parallel()
	g := password.NewGate(1, 1)
	left := 0
	for range 2000 {
		noError(t, g.Acquire(t.Context(), 1))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Acquire(ctx, 1) }()
		for g.Waiting() == 0 {
			runtime.Gosched()
		}
		cancel()
		g.Release(1)
		if err := <-done; err == nil {
			g.Release(1)
		} else {
			left++
		}
	}
	if g.Free() != 1 || g.Waiting() != 0 || left == 0 {
		t.Errorf("%d left of the budget, %d wait, %d went", g.Free(), g.Waiting(), left)
	}
}

// TestBusy fills budget and queue.
func TestBusy(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-2.2")
	h := newHasher(t, &password.Options{Memory: 19 * mib, Queue: 2})
	phc := hash(t, h, "secret")
	noError(t, h.Gate().Acquire(t.Context(), 1))
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := h.Verify(t.Context(), phc, []byte("secret"))
			done <- err
		}()
	}
	for h.Gate().Waiting() < 2 {
		runtime.Gosched()
	}
	_, hashErr := h.Hash(t.Context(), []byte("secret"))
	_, verifyErr := h.Verify(t.Context(), phc, []byte("secret"))
	for verb, err := range map[string]error{"Hash": hashErr, "Verify": verifyErr, "Dummy": h.Dummy(t.Context(), []byte("secret"))} {
		if !errors.Is(err, password.ErrBusy) {
			t.Errorf("%s with a full queue: %v", verb, err)
		}
	}
	h.Gate().Release(1)
	noError(t, errors.Join(<-done, <-done))
}

// TestCancelled ends a context before and in the queue.
func TestCancelled(t *testing.T) {
	t.Parallel()
	h := newHasher(t, &password.Options{Memory: 19 * mib})
	ctx, cancel := context.WithCancel(t.Context())
	noError(t, h.Gate().Acquire(t.Context(), 1))
	done := make(chan error)
	go func() {
		_, err := h.Hash(ctx, []byte("secret"))
		done <- err
	}()
	for h.Gate().Waiting() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("in the queue: %v", err)
	}
	h.Gate().Release(1)
	if _, err := h.Hash(ctx, []byte("secret")); !errors.Is(err, context.Canceled) {
		t.Errorf("with an idle gate: %v", err)
	}
	if h.Gate().Free() != 19*mib {
		t.Errorf("%d bytes left", h.Gate().Free())
	}
}

// TestHeap hashes 50 passwords at once in a process of its own and reads how
// large its heap ever was. Without a gate they would take 950 MiB.
func TestHeap(t *testing.T) {
	t.Attr("art32.measure", "TOM-2.2")
	const child, budget, most = "ART32_TEST_PASSWORD_HEAP", 64 * mib, 200 * mib
	if os.Getenv(child) != "" {
		hashAtOnce(t, budget)
		return
	}
	self, err := os.Executable()
	noError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestHeap$", "-test.v")
	cmd.Env = append(os.Environ(), child+"=1", "GOGC=100")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, rest, _ := bytes.Cut(out, []byte("heap="))
	digits, _, _ := bytes.Cut(rest, []byte(";"))
	heap, err := strconv.Atoi(string(digits))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if heap < 57*mib || heap > most {
		t.Errorf("50 hashes within a budget of %d MiB took %d MiB", budget/mib, heap/mib)
	}
	t.Logf("%d MiB", heap/mib)
}

func hashAtOnce(t *testing.T, budget int64) {
	t.Helper()
	h := newHasher(t, &password.Options{Memory: budget})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := h.Hash(t.Context(), []byte("secret")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap=%d;", m.HeapSys)
}
