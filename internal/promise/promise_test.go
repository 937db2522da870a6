package promise_test

import (
	"math"
	"testing"
	"time"

	"github.com/art32/art32/internal/promise"
)

func TestLine(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		got    float64
		target promise.Target
		want   string
	}{
		"below the most":   {0.85372, promise.AtMost(0.9), "promise crypto/field-seal-32B 0.8537 <=0.9 met"},
		"at the most":      {0.9, promise.AtMost(0.9), "promise crypto/field-seal-32B 0.9 <=0.9 met"},
		"above the most":   {0.91, promise.AtMost(0.9), "promise crypto/field-seal-32B 0.91 <=0.9 missed"},
		"above the least":  {1234567, promise.AtLeast(1e6), "promise crypto/field-seal-32B 1234567 >=1000000 met"},
		"at the least":     {2, promise.AtLeast(2), "promise crypto/field-seal-32B 2 >=2 met"},
		"below the least":  {1, promise.AtLeast(2), "promise crypto/field-seal-32B 1 >=2 missed"},
		"without a figure": {math.NaN(), promise.AtMost(2), "promise crypto/field-seal-32B NaN <=2 missed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := promise.Line("crypto/field-seal-32B", c.got, c.target); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	result := testing.Benchmark(func(b *testing.B) {
		promise.Report(b, "internal/promise", "ratio", 0.5, promise.AtMost(1))
	})
	if got := result.Extra["ratio"]; got != 0.5 {
		t.Errorf("metric: got %v", got)
	}
	for name, target := range map[string]promise.Target{"": promise.AtMost(1), "no-package": promise.AtMost(1), "a/b c": promise.AtMost(1), "a/b": {}} {
		reached := false
		testing.Benchmark(func(b *testing.B) {
			promise.Report(b, name, "ratio", 0.5, target)
			reached = true
		})
		if reached {
			t.Errorf("Report takes the name %q with target %q", name, target)
		}
	}
}

// TestRatio compares work whose cost is known.
func TestRatio(t *testing.T) {
	work := func(size int) func(n int) {
		return func(n int) {
			for range n {
				spin(size)
			}
		}
	}
	for _, c := range []struct{ subject, baseline int }{{4000, 1000}, {1000, 4000}, {1000, 1000}} {
		var got float64
		start := time.Now()
		testing.Benchmark(func(b *testing.B) { got = promise.Ratio(b, work(c.subject), work(c.baseline)) })
		want := float64(c.subject) / float64(c.baseline)
		if got < want*0.7 || got > want*1.4 {
			t.Errorf("ratio of %d to %d: got %.2f, want about %.2f", c.subject, c.baseline, got, want)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
	}
}

var sink uint64

// spin does n dependent multiplications, which no compiler shortens.
func spin(n int) {
	x := sink | 1
	for range n {
		x *= 6364136223846793005
		x ^= x >> 31
	}
	sink = x
}
