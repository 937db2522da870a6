package keyringtest

import (
	"context"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

// Root is a root with hands on what lies behind it.
type Root struct {
	Wrapper keyring.Wrapper // to be judged
	// Other is a root of the same kind with another key.
	Other keyring.Wrapper
	// Break has the service behind Wrapper refuse to serve from now on, and Mend
	// serve again. Nil for a root that lies in memory.
	Break, Mend func()
	// Hang has the service take requests and answer nothing from now on. Nil for
	// a root that lies in memory.
	Hang func()
}

// WrapperCase is one promise of a [keyring.Wrapper].
type WrapperCase struct {
	Name        string // of the promise
	Measure     string // the clause that it carries
	Explanation string // what goes wrong where it is broken
	Check       func(ctx context.Context, r Root) error
}

// RunWrapper runs each case as a test, each with a root of its own.
func RunWrapper(t *testing.T, newRoot func(t *testing.T) Root) {
	t.Helper()
	for _, c := range WrapperCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), newRoot(t)); err != nil {
				t.Errorf("%v\n%s", err, c.Explanation)
			}
		})
	}
}

// WrapperCases are the promises of [keyring.Wrapper].
func WrapperCases() []WrapperCase {
	const m = "TOM-7.2"
	return []WrapperCase{
		{"round trip", m, "A key that does not come back is lost, with all that it has sealed.", roundTrip},
		{"arguments are the caller's", m, "A root that clears or keeps what it was given takes a key away that is in use, or leaves it in memory.", argumentsKept},
		{"results are copies", m, "The ring overwrites a key when it is done; a root that hands out its own bytes returns zeroes next time.", resultsAreCopies},
		{"bound to its place", m, "A key that opens at another place can be moved to another tenant by whoever may write the keystore.", boundToPlace},
		{"changed", m, "A changed key must be told from a service that does not answer, or it is asked for ever.", changed},
		{"truncated or extended", m, "A torn record must be told from a service that does not answer.", torn},
		{"another root", m, "A wrong root must be recognised before anything is created under it.", anotherRoot},
		{"never the same twice", m, "Equal bytes show that two tenants, or two versions, have one key.", neverTwice},
		{"the key does not show", m, "Whoever reads the keystore must not read keys.", keyHidden},
		{"many at once", m, "Answers that are mixed up give one tenant the key of another.", manyAtOnce},
		{"not answering", m, "A service that is down must not pass for a damaged key: keys would be given up that are whole.", notAnswering},
		{"errors say nothing", m, "Errors are logged, and logs are read by many.", errorsSayNothing},
		{"ends with its context", m, "A service that hangs must hold up nobody, and must not pass for a damaged key.", endsWithContext},
		{"current key", m, "Rotation wraps anew what the current key does not open; a wrong answer leaves keys behind with the old one.", currentKey},
	}
}
