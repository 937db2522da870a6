package incident

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Range is a number within bounds, as far as the log reaches: rows that callers'
// SQL wrote or deleted leave no event. It is never exact, also where both bounds
// agree.
type Range struct {
	AtLeast int // what the log shows
	AtMost  int // what the tables hold, and what the log shows to have been deleted
}

// Affected is one tenant that a case touches.
type Affected struct {
	Tenant   tenancy.ID // who is affected
	Name     string     // of the tenant, for the operator, without control characters
	Events   int        // changes in its log that match the scope
	Records  Range      // rows
	Subjects Range      // data subjects
	Unnamed  int        // events whose data subject was erased since
	Pending  int        // events that wait for the sealer
	Tables   []AffectedTable
	Log      string // origin of the tenant's log; empty when nothing was sealed yet
	Size     int64  // of its checkpoint that covers the events, in entries
	Root     []byte // of the same
	// Damaged says that entries of the tenant's log are missing, or that it
	// contradicts itself: AtLeast still holds, AtMost may be too low, and which
	// tables were touched may not show.
	Damaged bool
	// Digest is the SHA-256, in hexadecimal, over case, scope and what the log
	// shows. Counting the same span of an unchanged log again yields it again,
	// however far log and tables have grown.
	Digest string
}

// AffectedTable is the part of one table.
type AffectedTable struct {
	Name     string   // as declared
	Columns  []string // personal and encrypted ones: the categories of data
	Records  Range    // rows
	Subjects Range    // data subjects

	nameless bool // holds personal data, names no data subject: each record may be another's
}

// Affected counts for each tenant what the case touches: those whose log shows a
// change in the scope and those that the report names, in the order of their
// creation. It changes nothing. A tenant that cannot be counted is left out, and
// named in a [*TenantError] beside the others' result; so is one whose log is
// damaged and shows nothing, for that clears nobody, and one whose row is gone while
// the platform's log or a file tells of it. Where a damaged log shows something, or
// the report names the tenant, the tenant stands in both. If the platform's log is
// damaged, so that it may leave tenants out, the zero ID stands for them.
func (d *Desk) Affected(ctx context.Context, id uuid.UUID) ([]Affected, error) {
	c, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	all, failed, err := d.affected(ctx, &c, &knownTenants{})
	if err != nil {
		return nil, err
	}
	return all, failed.orNil()
}

// affected leaves out the tenants that are told already, and does not complain of
// those whose tasks somebody has closed.
func (d *Desk) affected(ctx context.Context, c *Case, known *knownTenants) ([]Affected, *TenantError, error) {
	tenants, err := d.db.Tenants(ctx)
	if err != nil {
		return nil, nil, wrap("list tenants", err)
	}
	var all []Affected
	failed := &TenantError{}
	for _, t := range tenants {
		if known.told[t.ID] {
			continue
		}
		a, err := d.scan(tenancy.WithTenant(ctx, t.ID), c, t)
		switch {
		case ctx.Err() != nil:
			return nil, nil, wrap("count", ctx.Err())
		case err != nil && !known.closed[t.ID]:
			failed.add(t.ID, err)
		}
		if a != nil {
			all = append(all, *a)
		}
	}
	return all, failed, d.absent(ctx, c, tenants, known, failed)
}

// absent adds to failed whom nobody can count: those that the report names and
// that are not listed, and with a scope, which asks for all, those whose rows are
// gone. Where the platform's log is damaged there may be more of them: the zero ID
// stands for those, and holds up nobody.
func (d *Desk) absent(ctx context.Context, c *Case, listed []tenancy.Tenant, known *knownTenants, failed *TenantError) error {
	add := func(id tenancy.ID, err error) {
		if !known.told[id] && !known.closed[id] && !slices.Contains(failed.Tenants, id) {
			failed.add(id, err)
		}
	}
	for _, id := range c.Report.Tenants {
		if !isListed(listed, id) {
			add(id, tenancy.ErrUnknownTenant)
		}
	}
	if c.Report.Scope.IsZero() {
		return nil
	}
	ids, err := d.lost(ctx, listed)
	if ctx.Err() != nil {
		return wrap("count", ctx.Err())
	}
	for _, id := range ids {
		add(id, errRowGone)
	}
	if err != nil {
		add(tenancy.ID{}, err)
	}
	return nil
}

// scan counts the context's tenant; nil if it is not affected. From a damaged log
// it counts what is left, and returns it beside the error.
func (d *Desk) scan(ctx context.Context, c *Case, t tenancy.Tenant) (*Affected, error) {
	named := slices.Contains(c.Report.Tenants, t.ID)
	if !named && c.Report.Scope.IsZero() {
		return nil, nil //nolint:nilnil // others are named
	}
	trace, damage := d.trail.Trace(ctx, d.db, c.scope())
	if damage == nil {
		damage = d.ahead(ctx, c, t.ID)
	}
	if !left(damage) || !named && trace.Events == 0 {
		return nil, wrap("trace", damage) // without one it is not affected
	}
	n, err := d.count(ctx, c.Report.Scope, trace)
	if err != nil {
		return nil, err
	}
	damage = cmp.Or(damage, n.damage)
	return &Affected{
		Tenant: t.ID, Name: shown(t.Name), Events: trace.Events, Unnamed: trace.Unnamed, Pending: trace.Pending,
		Records: n.records(), Subjects: n.subjects(), Tables: n.tables(),
		Log: trace.Log, Size: trace.Size, Root: trace.Root, Damaged: damage != nil, Digest: digest(c, t.ID, trace),
	}, wrap("trace", damage)
}

// left reports whether a trace holds figures: all, or what is left of the log.
func left(err error) bool { return err == nil || errors.Is(err, tenancy.ErrDamagedLog) }

// digested is what [Affected].Digest covers, in the form of docs/formats/notice.md.
// It leaves out what grows by itself: the head of the log, what is pending, and
// the rows of the tables.
type digested struct {
	Case     string          `json:"case"`
	Tenant   string          `json:"tenant"`
	From     int64           `json:"from"`
	Until    int64           `json:"until"`
	Actors   []string        `json:"actors"`
	Sessions []string        `json:"sessions"`
	Among    []string        `json:"among"`
	Verbs    []string        `json:"verbs"`
	Events   int             `json:"events"`
	Records  int             `json:"records"`
	Subjects int             `json:"data_subjects"`
	Unnamed  int             `json:"unnamed"`
	Tables   []digestedTable `json:"tables"`
}

type digestedTable struct {
	Name     string `json:"name"`
	Records  int    `json:"records"`
	Subjects int    `json:"data_subjects"`
}

func digest(c *Case, tenant tenancy.ID, t tenancy.Trace) string {
	q := c.scope()
	x := digested{
		Case: c.ID.String(), Tenant: tenant.String(), Until: q.Until.UnixMicro(),
		Actors: given(q.Actors), Sessions: given(q.Sessions), Among: given(q.Tables), Verbs: given(q.Verbs),
		Events: t.Events, Records: t.Records, Subjects: t.Subjects, Unnamed: t.Unnamed, Tables: []digestedTable{},
	}
	if !q.From.IsZero() {
		x.From = q.From.UnixMicro()
	}
	for _, of := range t.Tables {
		x.Tables = append(x.Tables, digestedTable{of.Table, of.Records, of.Subjects})
	}
	text, err := json.Marshal(x)
	if err != nil {
		return "" // unreachable: ids, words and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// given is never nil, so that it has one form.
func given(words []string) []string { return append([]string{}, words...) }
