package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// Kind says what a finding looks like. The text is stable.
type Kind string

// The kinds of findings.
const (
	KindEdited         Kind = "edited"          // the entry is not what was sealed
	KindDeleted        Kind = "deleted"         // the entry is gone
	KindTailCut        Kind = "tail cut"        // the last entries are gone, or the log was set back
	KindInserted       Kind = "inserted"        // a row that no writer has vouched for, or a copy
	KindReordered      Kind = "reordered"       // the entry stands in another's place
	KindPayloadEdited  Kind = "payload edited"  // a ciphertext is not the one that was sealed
	KindPayloadMissing Kind = "payload missing" // a ciphertext is gone without an entry of erasure
	KindTileDamaged    Kind = "tile damaged"    // a tile of hashes is not the tree's
	KindCheckpoint     Kind = "checkpoint"      // forged, or it does not match the tree
	KindForeign        Kind = "foreign log"     // the platform's log does not say that it was opened here
)

// Finding is one thing that is wrong.
type Finding struct {
	// Kind is what it looks like.
	Kind Kind `json:"kind"`
	// Index is the number of the entry in the tree, from 0; the size of a
	// checkpoint; the number of a tile; -1 when none is known.
	Index int64 `json:"index"`
	// EventID is the event's id, as far as it is known.
	EventID uuid.UUID `json:"event_id,omitzero"`
	// Log is the origin of the log, as far as it is known.
	Log string `json:"log,omitempty"`
	// Text says it in a sentence, without data.
	Text string `json:"text"`
}

// EarlierLog is a log of a tenant that has ended.
type EarlierLog struct {
	Origin string `json:"log"`  // its name
	Key    string `json:"key"`  // the public key that was used
	Size   int64  `json:"size"` // entries in the tree
	Root   []byte `json:"root"` // the root hash that they must yield
	// Dropped says that its entries were deleted when they were no longer to be kept.
	Dropped bool `json:"dropped"`
	// Cause is why another log followed.
	Cause Cause `json:"cause"`
	// Lost is how many entries a restore has lost: a checkpoint that was held outside
	// covered so many more.
	Lost int64 `json:"lost"`
}

// VerifyOptions are the choices of [Verify]; nil and zero fields mean the
// defaults.
type VerifyOptions struct {
	// MaxPending accepts events that wait for the sealer for no longer than
	// this, and are at most ten seconds ahead of this process's clock. Default 0:
	// nothing may be pending.
	MaxPending time.Duration
	// PlatformKey is the public key of the platform's log as it is held outside
	// ([Report].PlatformKey of an earlier verification); where that log was followed
	// by others, any key of them. It is the one key that must be held: the platform's
	// log names the logs of all tenants, and a log's id follows from its key. Default: the key that stands in the database, so that
	// an installation that was replaced as a whole is not found.
	PlatformKey string
	// Key is the log's own public key as it is held outside, or that of an earlier log. Default: for the
	// platform's log PlatformKey, for others the key that stands in the database.
	Key string
	// Checkpoints are checkpoints that were held outside: the log must have
	// grown from each. Only they show that everything was rewritten, or that an
	// old backup was restored. Default none.
	Checkpoints [][]byte
	// Log checks in addition the MACs of events that are not sealed yet, which
	// needs the keys. Default: no key is needed, and they are counted only.
	Log *Log
	// MaxFindings bounds the list; what exceeds it is counted. Default 100.
	MaxFindings int
}

// Report is what a verification has found.
type Report struct {
	Tenant tenancy.ID `json:"tenant"` // zero: the platform
	Origin string     `json:"log"`    // "": nothing was sealed yet
	Key    string     `json:"key"`    // the public key that was used
	// PlatformKey is the public key of the platform's log; hold it outside.
	PlatformKey string    `json:"platform_key"`
	Size        int64     `json:"size"` // entries in the tree
	Root        []byte    `json:"root"` // the root hash that they must yield
	At          time.Time `json:"at"`   // when this was verified
	// Earlier are the logs that came before, the oldest first.
	Earlier []EarlierLog `json:"earlier,omitempty"`
	// Erased counts the parts of payloads that were erased with an entry.
	Erased int64 `json:"erased"`
	// ErasedPending counts the parts that are gone while the entry that says so
	// waits for the sealer: that entry is among Pending.
	ErasedPending int64 `json:"erased_pending"`
	// Pending counts the events that wait for the sealer, Overdue those of them
	// that are older than was allowed or claim to be of the future, OldestPending
	// is since when.
	Pending int64 `json:"pending"`
	Overdue int64 `json:"overdue"`
	// OverdueIDs names the first few of those that are overdue. A row that was
	// inserted behind the library's back looks like them; the keys tell which.
	OverdueIDs    []uuid.UUID `json:"overdue_ids,omitempty"`
	OldestPending time.Time   `json:"oldest_pending,omitzero"`
	// Findings holds what is wrong, More how much more than the list may hold.
	Findings []Finding `json:"findings"`
	More     int64     `json:"more_findings"`
}

// OK reports whether all entries are as they were sealed, and none waits for
// longer than was allowed.
func (r *Report) OK() bool { return len(r.Findings) == 0 && r.More == 0 && r.Overdue == 0 }

const defaultMaxFindings = 100

// Verify checks the log of a tenant, or with the zero ID the platform's, from
// its rows, tiles, checkpoints and public key. It needs no secret and changes
// nothing; events may be written, sealed and erased meanwhile. A tenant's log
// must be one that the platform's log says was opened here; the platform's own
// is verified by a call of its own. An error means that it could not be checked,
// not that something is wrong: that stands in the report. Where only the
// platform's log could not be read, both are returned. It uses memory for some
// thousand entries at a time.
func Verify(ctx context.Context, db *tenancy.DB, tenant tenancy.ID, o *VerifyOptions) (*Report, error) {
	if o == nil {
		o = &VerifyOptions{}
	}
	v := &verifier{
		db: db, tenant: tenant.UUID(), o: *o,
		report:   &Report{Tenant: tenant, At: time.Now().UTC(), Findings: []Finding{}},
		manifest: make(map[[digestSize]byte]bool),
		waived:   make(map[[digestSize]byte]bool),
	}
	if v.o.MaxFindings <= 0 {
		v.o.MaxFindings = defaultMaxFindings
	}
	if v.tenant == uuid.Nil && v.o.Key == "" {
		v.o.Key = v.o.PlatformKey
	}
	if err := v.run(ctx); err != nil {
		return nil, fmt.Errorf("audit: verify: %w", err)
	}
	if err := v.opened(ctx); err != nil {
		return v.report, fmt.Errorf("audit: verify: %w", err)
	}
	return v.report, nil
}

// verifier is one walk through a log.
type verifier struct {
	db      *tenancy.DB
	tenant  uuid.UUID
	o       VerifyOptions
	report  *Report
	excused anchoredDrops
	before  *head // the log before the one that is walked; nil for the first
	head    *head
	points  []point // checkpoints in the order of size
	outside []heldNote
	// forgiven is the size up to which a checkpoint held outside may cover more.
	forgiven int64
	size     int64 // of the newest valid one
	root     [32]byte

	tree     tree
	suspects []suspect
	lacking  map[int64]bool // entries without a row that matches
	lacked   int            // how many in all logs
	gone     []gonePart
	manifest map[[digestSize]byte]bool // digests that entries of erasure name
	waived   map[[digestSize]byte]bool // those of entries that are not sealed
	passed   int                       // points whose root was compared
	good     int64                     // size of the last of them that fits
	bad      bool                      // one of the database did not
}

func (v *verifier) findf(k Kind, index int64, event uuid.UUID, format string, args ...any) {
	if len(v.report.Findings) >= v.o.MaxFindings {
		v.report.More++
		return
	}
	v.report.Findings = append(v.report.Findings, Finding{
		Kind: k, Index: index, EventID: event, Log: v.report.Origin, Text: fmt.Sprintf(format, args...),
	})
}

func (v *verifier) run(ctx context.Context) error {
	logs, err := readLogs(ctx, v.db, v.tenant)
	if err != nil {
		return err
	}
	if len(logs) == 0 {
		v.head = &head{}
		v.withoutLog()
	} else if err := v.runLogs(ctx, logs); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{v.behind, v.copies, v.pending, v.orphans} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	v.judgeGone()
	return nil
}

// withoutLog is the case that nothing was sealed, or that the log is gone.
func (v *verifier) withoutLog() {
	v.report.Key = v.o.Key
	for _, c := range v.o.Checkpoints {
		p, err := ParseCheckpoint(c, v.o.Key)
		switch {
		case err != nil:
			v.findf(KindCheckpoint, -1, uuid.Nil,
				"there is no log, and a checkpoint that is held outside cannot be checked against its key: %s", faultOf(err))
		case p.Size > 0:
			v.findf(KindTailCut, 0, uuid.Nil, "the whole log is gone: a checkpoint held outside covers %d entries", p.Size)
		}
	}
}

// behind finds rows that claim a place behind the end of the newest log, or that
// the sealer refused. The log may have grown meanwhile, or another may have
// followed: its end is read once more, after the rows.
func (v *verifier) behind(ctx context.Context) error {
	var rows []*row
	err := v.strays(ctx, "e.leaf >= 0 AND e.leaf >= $2 ORDER BY e.leaf DESC", v.head.base+v.size, func(r *row) {
		rows = append(rows, r)
	})
	if err != nil {
		return err
	}
	now, err := readHead(ctx, v.db, v.tenant)
	if err != nil {
		return err
	}
	end := v.head.base + v.size
	if now != nil && now.end() > v.head.end() {
		end = max(end, now.end())
	}
	for _, r := range rows {
		if r.at >= end {
			v.findf(KindInserted, r.at-v.head.base, r.leaf.Event,
				"the row claims to be entry %d, but the log ends with %d entries", r.at-v.head.base, end-v.head.base)
		}
	}
	return v.strays(ctx, "e.leaf < $2 ORDER BY e.seq", 0, func(r *row) {
		v.findf(KindInserted, -1, r.leaf.Event,
			"the event was written or edited outside the application: its MAC was wrong when it was to be sealed")
	})
}

// strays reads rows outside the tree.
func (v *verifier) strays(ctx context.Context, which string, arg int64, found func(*row)) error {
	d := v.db.Engine(engine.Library).Dialect()
	return read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") +
			" e WHERE e.tenant_id = $1 AND " + which + " LIMIT $3",
		Args: []any{v.tenant, arg, int64(v.o.MaxFindings) + 1},
	}, func(r engine.Row) error {
		row, err := scanEvent(d, r)
		if err == nil {
			found(row)
		}
		return err
	})
}

// copies finds events whose id stands in more than one row.
func (v *verifier) copies(ctx context.Context) error {
	d := v.db.Engine(engine.Library).Dialect()
	return read(ctx, v.db, v.tenant, engine.Stmt{
		SQL: "SELECT CAST(id AS TEXT), count(*) FROM " + engine.Table(d, "events") +
			" WHERE tenant_id = $1 GROUP BY id HAVING count(*) > 1 ORDER BY 1 LIMIT $2",
		Args: []any{v.tenant, int64(v.o.MaxFindings) + 1},
	}, func(r engine.Row) error {
		var id string
		var n int64
		err := r.Scan(&id, &n)
		v.findf(KindInserted, -1, parseID(id), "%d rows bear the id of one event", n)
		return err
	})
}
