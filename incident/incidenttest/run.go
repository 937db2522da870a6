package incidenttest

import "testing"

// RunNotifier runs all cases, each on a fixture of its own.
func RunNotifier(t *testing.T, fixture func(t *testing.T) Fixture) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), fixture(t)); err != nil {
				t.Errorf("%v (%s)", err, c.Explanation)
			}
		})
	}
}
