package keyring

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrCopies says that nobody has declared which copies of the keystore there
// are, so that nobody can say when a destroyed key is gone from all of them.
var ErrCopies = errors.New("keyring: the copies of the keystore are not declared: set Options.Copies, to an empty list where there are none")

// Copy is a kind of copy of the keystore, in which a destroyed key lives on.
type Copy struct {
	Name string        // as the erasure record names it: "nightly backup", "WAL archive"
	Life time.Duration // from when it is made until it is gone
}

// Copies returns the copies of the keystore as [Options.Copies] declares them,
// and false when they are not declared.
func (r *Ring) Copies() (list []Copy, declared bool) { return slices.Clone(r.holds), r.holds != nil }

// Horizon returns when a key that is destroyed at the time from can be read
// nowhere any more: from plus the longest life of a copy and [Ring.TTL]. It
// returns [ErrCopies] when the copies are not declared.
func (r *Ring) Horizon(from time.Time) (time.Time, error) {
	if r.holds == nil {
		return time.Time{}, ErrCopies
	}
	var longest time.Duration
	for _, c := range r.holds {
		longest = max(longest, c.Life)
	}
	return from.Add(longest).Add(r.TTL()), nil
}

func checkCopies(list []Copy) error {
	for _, c := range list {
		if c.Name == "" || c.Life < 0 {
			return fmt.Errorf("keyring: new ring: copy %q needs a name and a life that is not negative", c.Name)
		}
	}
	return nil
}
