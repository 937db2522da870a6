package blobtest

import (
	"context"
	"testing"

	"github.com/art32/art32/tenancy/blob"
)

// Case is one demand on a place.
type Case struct {
	Name        string // of the demand
	Measure     string // of the contract
	Explanation string // why it must be so
	Check       func(ctx context.Context, p blob.Place) error
}

// Run runs all cases, each on an empty place of its own.
func Run(t *testing.T, open func(t *testing.T) blob.Place) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), open(t)); err != nil {
				t.Errorf("%v (%s)", err, c.Explanation)
			}
		})
	}
}

// Cases are all demands, as data. Each wants an empty place.
func Cases() []Case {
	return []Case{
		{"keeps", "TOM-8.1", "an object is what was put, from every byte on, and says how long it is", keeps},
		{"whole or not at all", "TOM-8.1", "what broke off would pass for all there is", wholeOrNot},
		{"not before its end", "TOM-8.1", "half an object must be nobody's to read", notBeforeEnd},
		{"missing", "TOM-8.1", "what is not there must be told from what cannot be reached", missing},
		{"removes", "TOM-8.1", "what is removed is gone, and nothing else is", removes},
		{"lists", "TOM-8.1", "what is not listed is never cleared away, and what is listed wrongly may be", lists},
		{"refuses names", "TOM-8.1", "a name must never become a place outside", refusesNames},
		{"ends with its context", "TOM-8.1", "a place that hangs must hold up nobody", endsWithContext},
		{"beside each other", "TOM-8.1", "two objects at once are two", beside},
		{"no mixture", "TOM-8.1", "two contents for one name must not become a third", noMixture},
	}
}
