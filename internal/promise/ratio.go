package promise

import (
	"slices"
	"testing"
	"time"
)

const (
	sliceTime = 5 * time.Millisecond // long against the clock, short against the machine's moods
	minSlices = 31
	warmTime  = 50 * time.Millisecond
)

// Ratio returns how long one round of subject takes in rounds of baseline: 0.9
// is 10 % less time, 2 is twice the time. Both functions run n rounds of the
// same work. They take turns in slices of a few milliseconds, with the first
// turn changing, for as long as the benchmark's time lasts; the result is the
// median of the ratios of neighbours, so that a pause of the machine hits both
// sides or a single slice. Ratio uses up b.Loop: call it once per benchmark.
func Ratio(b *testing.B, subject, baseline func(n int)) float64 {
	b.Helper()
	subjectRounds, baselineRounds := calibrate(subject), calibrate(baseline)
	var ratios []float64
	slice := func() {
		var s, base float64
		if len(ratios)%2 == 0 {
			s, base = perRound(subject, subjectRounds), perRound(baseline, baselineRounds)
		} else {
			base, s = perRound(baseline, baselineRounds), perRound(subject, subjectRounds)
		}
		ratios = append(ratios, s/base)
	}
	for b.Loop() {
		slice()
	}
	for len(ratios) < minSlices {
		slice()
	}
	b.ReportMetric(0, "ns/op") // a round of the loop is a pair of slices and says nothing
	return median(ratios)
}

// calibrate returns the rounds of f that fill a slice, at least one. The first rounds
// open connections and fill caches: they say nothing of the others.
func calibrate(f func(n int)) int {
	for start := time.Now(); time.Since(start) < warmTime; {
		f(1)
	}
	n := 1
	for {
		start := time.Now()
		f(n)
		took := time.Since(start)
		if took >= sliceTime/2 {
			return max(1, int(int64(n)*int64(sliceTime)/int64(took)))
		}
		n *= 2
	}
}

// perRound returns the seconds that one of n rounds takes.
func perRound(f func(n int), n int) float64 {
	start := time.Now()
	f(n)
	return time.Since(start).Seconds() / float64(n)
}

func median(values []float64) float64 {
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}
