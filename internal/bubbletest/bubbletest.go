// Package bubbletest runs tests on synctest's clock that draw random bytes.
package bubbletest

import (
	"crypto/fips140"
	"crypto/rand"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
)

// Run is synctest.Test. Under FIPS 140 the generators of random bytes are seeded
// from the jitter of the clock, which stands still in a bubble: they are made
// before it, and the garbage collector, which would take them, waits. A test that
// calls Run is not parallel, since others would use up what was made.
func Run(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	if fips140.Enabled() {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		seedGenerators()
	}
	synctest.Test(t, test)
}

// seedGenerators draws from so many at once that each needs a generator of its own.
func seedGenerators() {
	const readers, bytes = 8, 4 << 20
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() { _, _ = rand.Read(make([]byte, bytes)) })
	}
	wg.Wait()
}
