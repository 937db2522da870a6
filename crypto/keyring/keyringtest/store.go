package keyringtest

import (
	"context"
	"testing"

	"github.com/art32/art32/crypto/keyring"
)

// StoreCase is one promise of a [keyring.Store].
type StoreCase struct {
	Name        string // of the promise
	Measure     string // the clause that it carries
	Explanation string // what goes wrong where it is broken
	// Check returns what is wrong with the store, or nil. Several cases may share
	// a store, at once too: each works on tenants of its own.
	Check func(ctx context.Context, s keyring.Store) error
}

// RunStore runs each case as a test, with a store that newStore gives it. It may
// give all of them the same one.
func RunStore(t *testing.T, newStore func(t *testing.T) keyring.Store) {
	t.Helper()
	for _, c := range StoreCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", c.Measure)
			if err := c.Check(t.Context(), newStore(t)); err != nil {
				t.Errorf("%v\n%s", err, c.Explanation)
			}
		})
	}
}

// StoreCases are the promises of [keyring.Store] and, where a store is one, of
// [keyring.Lister].
func StoreCases() []StoreCase {
	const m = "TOM-7.2"
	return []StoreCase{
		{"insert and get", m, "A key that does not come back as it was stored is lost, with all that it has sealed.", insertAndGet},
		{"nothing asked", m, "A page without data subjects is no failure of the keystore.", nothingAsked},
		{"unknown names", m, "A data subject without a key must be told from a keystore that does not answer.", unknownNames},
		{"tenants apart", m, "Two tenants may know one data subject; each has a key of its own.", tenantsApart},
		{"first one stands", m, "A key that is overwritten is lost, with all that it has sealed.", firstStands},
		{"creators agree", m, "Of two keys for one data subject one is lost, with what it has sealed since.", creatorsAgree},
		{"batches that cross", m, "Batches that name the same keys in another order must not wait for each other for ever.", batchesCross},
		{"big batch", m, "A batch that is cut off leaves data subjects without a key, or with one that nobody stored.", bigBatch},
		{"results are copies", m, "The ring may change what it was given; the next reader must not see that.", copies},
		{"shred", m, "A key whose bytes remain, or that is still handed out, is not destroyed.", shred},
		{"shred of what never was", m, "A data subject that is erased before its first key must not get one.", shredUnknown},
		{"shred twice", m, "Shredding is repeated until it succeeds; that must not move what is recorded.", shredTwice},
		{"tombstones stay", m, "An erased data subject must not come back with an insert under way.", tombstonesStay},
		{"shred races insert", m, "Whoever comes last, the tombstone must stand.", shredRaces},
		{"reserve", m, "A message that is not counted lets random nonces repeat; a refusal too early stops the tenant.", reserve},
		{"reserve of nothing", m, "A key that is not there must not be counted as one that may seal.", reserveNothing},
		{"reservations race", m, "Two who both get the last messages exceed the limit together.", reserveRaces},
		{"ended context", m, "A caller that has left must not be answered as if its key had been stored.", endedContext},
		{"list", m, "What checks and copies the keystore must see every key, and no bytes.", list},
	}
}
