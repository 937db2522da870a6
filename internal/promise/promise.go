// Package promise measures what the project promises about speed and size, and
// prints one line for each promise:
//
//	promise <package>/<name> <value> <target> met|missed
//
// A benchmark beside the code calls [Report]; `make bench` collects the lines.
// A promise about time is a ratio to a baseline that [Ratio] runs in the same
// breath, for the figure must say something about the code and not about the
// machine.
package promise

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
)

// Target is the bound that a figure must keep. The zero Target is not valid.
type Target struct {
	relation string
	bound    float64
}

// AtMost is the target of a figure that must not exceed bound.
func AtMost(bound float64) Target { return Target{relation: "<=", bound: bound} }

// AtLeast is the target of a figure that must reach bound.
func AtLeast(bound float64) Target { return Target{relation: ">=", bound: bound} }

// Met reports whether got keeps the target. NaN never does.
func (t Target) Met(got float64) bool {
	switch t.relation {
	case "<=":
		return got <= t.bound
	case ">=":
		return got >= t.bound
	}
	return false
}

// String returns the target as it stands in a line, such as "<=0.9".
func (t Target) String() string { return t.relation + number(t.bound) }

// nameForm is package path, slash, name; the Makefile and readers split on it.
var nameForm = regexp.MustCompile(`^[a-z0-9]+(/[A-Za-z0-9._-]+)+$`)

// Report records got for the promise of that name, such as
// "crypto/field-seal-32B": as a metric of the benchmark in the given unit and
// as a line of its own. A target that is missed does not fail the benchmark; a
// name that is malformed does.
func Report(b *testing.B, name, unit string, got float64, target Target) {
	b.Helper()
	if !nameForm.MatchString(name) || target.relation == "" || math.IsNaN(got) {
		b.Fatalf("promise: %q: malformed name, no target or no figure (%v)", name, got)
	}
	b.ReportMetric(got, unit)
	fmt.Print("\n" + Line(name, got, target) + "\n") // the benchmark's own line has begun
}

// Line returns the line of one promise, without a line break.
func Line(name string, got float64, target Target) string {
	verdict := "missed"
	if target.Met(got) {
		verdict = "met"
	}
	return fmt.Sprintf("promise %s %s %s %s", name, number(got), target, verdict)
}

// number prints four significant digits, more where the figure has them before
// the point.
func number(f float64) string {
	if math.Abs(f) >= 1000 && !math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 4, 64)
}
