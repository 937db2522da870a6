package tenancy

import (
	"context"

	"github.com/google/uuid"
)

// KeyReport says under which versions of their keys the data of one tenant lies.
// It counts; it holds nothing of what the data says.
type KeyReport struct {
	// Tables are those with encrypted columns, in the order of the schema.
	Tables []TableKeys
	// IndexVersions is how many versions of the index key serve: with more than
	// one, each index value must be computed anew before the older are destroyed.
	IndexVersions int
	// Indexed says that index values were computed and compared, for which all
	// rows are decrypted. Otherwise the figures of the indexes are zero.
	Indexed bool
	// Retired counts the versions of keys that open and seal no more.
	Retired RetiredKeys
	// Elsewhere is what places outside the tables hold: first the log, then those
	// that the caller named.
	Elsewhere []SealedKeys

	// Of a run of [DB.Reseal] or [DB.DestroyRetired]; zero in a report.

	Resealed  int // cells that were sealed anew
	Reindexed int // index values that were computed anew
	Overtaken int // rows that others wrote or held meanwhile: they are looked at the next time
	Destroyed int // versions of keys that were destroyed
	Waiting   int // versions that nothing uses and that are destroyed once their grace is over
}

// TableKeys is the part of a [KeyReport] about one table.
type TableKeys struct {
	Table   string       // as declared
	Rows    int          // that were looked at
	NoKey   int          // rows whose key is no id: their cells are broken
	Columns []ColumnKeys // the encrypted ones, in the order of the declaration
}

// ColumnKeys is the part of a [KeyReport] about one encrypted column. NULL counts
// nowhere.
type ColumnKeys struct {
	Column string // as declared
	// Current counts the cells under the version of their key that seals.
	Current int
	// Older counts the cells under versions that only open, by version.
	Older map[uint32]int
	// Erased counts the cells of people who were erased. They stay as they are.
	Erased int
	// Broken are cells that hold no ciphertext, or one that does not open, or
	// whose key the keystore does not hold.
	Broken Cells
	// Index is about the blind index; nil where the column has none.
	Index *IndexKeys
}

// IndexKeys is the part of a [KeyReport] about one blind index. All figures are
// zero unless [KeyReport].Indexed.
type IndexKeys struct {
	Column string // of the index values
	// Undescribed says that the table is known by a description that was stored
	// before it told how the index is computed: open the database once with a
	// newer application.
	Undescribed bool
	// Current counts the values under the version of the index key that is
	// written, Older those under others that serve, by version.
	Current int
	Older   map[uint32]int
	// Wrong counts the values that no version gives, NULL included beside a cell
	// whose text has one.
	Wrong int
	// Unknown counts the values beside cells that cannot be opened.
	Unknown int
	// Conflicts are the rows whose new value another row has already, where the
	// column is UNIQUE: two rows hold what may stand once.
	Conflicts Cells
}

// Cells counts cells and names the first of their rows.
type Cells struct {
	Count int         // how many
	Rows  []uuid.UUID // the ids of at most ten rows, see [Repository.Object]
}

const namedRows = 10

func (c *Cells) add(row uuid.UUID) {
	c.Count++
	if len(c.Rows) < namedRows && row != uuid.Nil {
		c.Rows = append(c.Rows, row)
	}
}

// RetiredKeys counts versions of keys that open and seal no more.
type RetiredKeys struct {
	Subjects int // of data subjects' keys
	Index    int // of the index key
	Data     int // of the tenant's own data key, which are never destroyed here
	KEK      int // of the tenant's key encryption key
}

// SealedKeys is what a [SealedCounter] holds.
type SealedKeys struct {
	Place    string         // the log, or the name that the counter has
	Versions map[uint32]int // ciphertexts by version of their key
	Retired  int            // of these, those under a version that is retired
}

// Left counts the cells and index values that [DB.Reseal] has still to do.
func (r *KeyReport) Left() int {
	left := 0
	for i := range r.Tables {
		for j := range r.Tables[i].Columns {
			c := &r.Tables[i].Columns[j]
			left += sum(c.Older)
			if c.Index != nil {
				left += sum(c.Index.Older) + c.Index.Wrong
			}
		}
	}
	return left
}

// Broken counts what no run of [DB.Reseal] can mend: cells that do not open,
// index values beside them, and conflicts.
func (r *KeyReport) Broken() int {
	broken := 0
	for i := range r.Tables {
		broken += r.Tables[i].NoKey
		for j := range r.Tables[i].Columns {
			c := &r.Tables[i].Columns[j]
			broken += c.Broken.Count
			if c.Index != nil {
				broken += c.Index.Unknown + c.Index.Conflicts.Count
			}
		}
	}
	return broken
}

// Complete reports whether everything lies under the versions that seal: then
// the older ones can be destroyed. While the index key has several versions only
// a report whose index values were compared can be complete.
func (r *KeyReport) Complete() bool {
	return r.Left() == 0 && r.Broken() == 0 && r.Overtaken == 0 && r.indexesKnown()
}

func (r *KeyReport) indexesKnown() bool {
	if r.IndexVersions <= 1 {
		return true
	}
	for i := range r.Tables {
		for j := range r.Tables[i].Columns {
			if x := r.Tables[i].Columns[j].Index; x != nil && (!r.Indexed || x.Undescribed) {
				return false
			}
		}
	}
	return true
}

// Percent is how much of the cells and, where they were compared, the index
// values lies under the versions that seal, rounded down: 100 only if the report
// is complete. What was erased does not count.
func (r *KeyReport) Percent() int {
	if r.Complete() {
		return 100
	}
	done := 0
	for i := range r.Tables {
		for j := range r.Tables[i].Columns {
			c := &r.Tables[i].Columns[j]
			done += c.Current
			if c.Index != nil {
				done += c.Index.Current
			}
		}
	}
	all := done + r.Left() + r.Broken()
	return min(100*done/max(all, 1), 99)
}

func sum(of map[uint32]int) int {
	n := 0
	for _, x := range of {
		n += x
	}
	return n
}

// SealedCounter is a place outside the tables of the schema that keeps
// ciphertexts under the keys of data subjects, such as the log or a store of
// attachments. *audit.Log is one.
type SealedCounter interface {
	// CountSealed tells add how many ciphertexts the place holds for the tenant
	// of tx, by data subject and by the version of its key that the ciphertext
	// names; the nil subject stands for the tenant's own data key. With subjects
	// it tells of these alone; nil means all. The same pair may be told several
	// times. What is being written meanwhile must be waited for, or held off until
	// tx ends.
	CountSealed(ctx context.Context, tx *Tx, subjects []uuid.UUID, add func(subject uuid.UUID, version uint32, n int)) error
}
