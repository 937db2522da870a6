package keyring

import "context"

// CopiedRecord is a record with its bytes and what else a copy of the keystore
// holds of it.
type CopiedRecord struct {
	Record
	Uses int64 // messages reserved, see [Store.Reserve]
}

// Copier is what a [Store] may offer beyond: [Ring.WriteCopy] and
// [Ring.RestoreCopy] need it.
type Copier interface {
	// Export returns the records that follow after in an order of the keystore's
	// own, no more than limit, each as it stands: with bytes unless it is
	// destroyed or erased. The zero record comes before all. It keeps nothing
	// open between calls, for a reader would keep destroyed keys in the log.
	Export(ctx context.Context, after CopiedRecord, limit int) ([]CopiedRecord, error)

	// Import adds records that the keystore does not hold, as they are, and turns
	// all versions of a key into tombstones of which one of records is a
	// tombstone. What the keystore holds is not changed otherwise, and counts of
	// messages only grow. It does not add bytes of a key that is erased, or whose
	// tenant is, or whose bytes name a KEK that does not stand. It returns how
	// many records it added and how many versions it erased.
	Import(ctx context.Context, records []CopiedRecord) (added, erased int64, err error)
}
