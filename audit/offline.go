package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

var (
	// ErrNoExport says that a folder holds no export of a log.
	ErrNoExport = errors.New("audit: not an export")
	// ErrRange says that the entries that were asked for are no range.
	ErrRange = errors.New("audit: bad range of entries")
)

// ExportOptions are the choices of [VerifyExport]; nil and zero fields mean the
// defaults.
type ExportOptions struct {
	// PlatformKey is a public key of the platform's log as it is held outside: that
	// of any of its logs, since each vouches for the next. Default: the keys that
	// stand in the export, so that one of another installation is not found.
	PlatformKey string
	// Tenant is whose export it must be. Default: the tenant that the export names
	// itself ([ExportReport].Tenant).
	Tenant tenancy.ID
	// Checkpoints are checkpoints of any of the tenant's logs that were held
	// outside: each log must have grown from them. Default none.
	Checkpoints [][]byte
	// From and To narrow the entries that are compared with the tree to those from
	// number From to before To, as [Entry].Index counts them over all logs of the
	// tenant, widened to whole bundles of 256. Heads, keys and checkpoints are
	// checked all the same. Default 0 and 0: all entries.
	From, To int64
	// MaxFindings bounds the list; what exceeds it is counted. Default 100.
	MaxFindings int
}

// ExportReport is what a verification of an export has found.
type ExportReport struct {
	Tenant tenancy.ID `json:"tenant"` // zero: the platform
	// PlatformKey is the newest public key of the platform's log; hold it outside.
	PlatformKey string        `json:"platform_key"`
	Logs        []ExportedLog `json:"logs"` // the oldest first
	// Checked counts the entries that were compared with the tree.
	Checked int64     `json:"checked"`
	At      time.Time `json:"at"` // when this was verified
	// Findings holds what is wrong, More how much more than the list may hold.
	Findings []Finding `json:"findings"`
	More     int64     `json:"more_findings"`
}

// ExportedLog is one of the logs of an export.
type ExportedLog struct {
	Number  int64  `json:"number"`          // of its folder
	Origin  string `json:"log"`             // its name
	Key     string `json:"key"`             // its public key, for [VerifyProof]
	Cause   Cause  `json:"cause,omitempty"` // why it followed the one before; "" for the first
	First   int64  `json:"first"`           // the number of its first entry over all logs
	Size    int64  `json:"size"`            // entries in the tree
	Root    []byte `json:"root"`            // the root hash that they must yield
	Dropped bool   `json:"dropped"`         // its entries are gone, and a sealed entry says so
	// Lost is how many entries a restore has lost: a checkpoint that was held outside
	// covered so many more.
	Lost int64 `json:"lost"`
}

// OK reports whether nothing is wrong.
func (r *ExportReport) OK() bool { return len(r.Findings) == 0 && r.More == 0 }

// VerifyExport checks the export of a tenant or of the platform, as [Export] has
// written it into the folder dir, with nothing but its files and what the caller
// holds: neither database nor secret. It says of each fault which attack it looks
// like. Every entry is compared with the tree under the signed checkpoint, every
// log must be vouched for by the one before, and the platform's key must show that
// it was opened for the tenant.
//
// It returns [ErrNoExport] for a folder without logs, [ErrRange] for bad options,
// and the error of a file that cannot be read; everything else that is wrong
// stands in the report. The folder may come from an adversary: nothing outside of
// it is read, and memory does not grow with it. It uses all processors.
func VerifyExport(ctx context.Context, dir string, o *ExportOptions) (*ExportReport, error) {
	if o == nil {
		o = &ExportOptions{}
	}
	if o.From < 0 || o.To < 0 || o.To > 0 && o.From > o.To {
		return nil, ErrRange
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("audit: verify export: %w", err)
	}
	defer root.Close()
	v := newExportVerifier(&files{root: root}, o)
	if err := v.run(ctx); err != nil {
		return nil, fmt.Errorf("audit: verify export: %w", err)
	}
	return v.conclude(), nil
}

// exportVerifier is one walk through an export.
type exportVerifier struct {
	files    *files
	o        ExportOptions
	report   *ExportReport
	logs     []*link
	platform []*link // as the export of a tenant tells of them
	tenant   uuid.UUID

	mu       sync.Mutex // the rest is shared by workers
	findings []placed
	seen     map[Finding]bool
	checked  int64
	dropped  map[uuid.UUID]bool // logs that a sealed entry says were dropped
}

// placed is a finding with the place of its log in the report.
type placed struct {
	Finding

	log int
}

func newExportVerifier(f *files, o *ExportOptions) *exportVerifier {
	v := &exportVerifier{
		files: f, o: *o, tenant: o.Tenant.UUID(), report: &ExportReport{At: time.Now().UTC(), Logs: []ExportedLog{}, Findings: []Finding{}},
		seen: make(map[Finding]bool), dropped: make(map[uuid.UUID]bool),
	}
	if v.o.MaxFindings <= 0 {
		v.o.MaxFindings = defaultMaxFindings
	}
	return v
}

func (v *exportVerifier) run(ctx context.Context) error {
	if err := v.readLinks(); err != nil {
		return err
	}
	for _, l := range v.logs {
		if err := v.walk(ctx, l); err != nil {
			return err
		}
	}
	if err := v.opened(); err != nil {
		return err
	}
	v.judgeDropped()
	return v.held()
}

// readLinks reads what shows how the logs follow each other.
func (v *exportVerifier) readLinks() (err error) {
	if v.logs, err = v.readChain("."); err != nil {
		return err
	}
	if len(v.logs) == 0 {
		return ErrNoExport
	}
	if v.tenant == uuid.Nil {
		v.tenant, err = v.tenantOf()
	}
	if err != nil || v.tenant == uuid.Nil {
		return err
	}
	v.platform, err = v.readChain(dirPlatform)
	return err
}

// findf takes a finding in; the same one only once. A nil link is none.
func (v *exportVerifier) findf(l *link, k Kind, index int64, event uuid.UUID, format string, args ...any) {
	f := placed{Finding: Finding{Kind: k, Index: index, EventID: event, Text: fmt.Sprintf(format, args...)}, log: len(v.logs)}
	if l != nil {
		f.log, f.Log, f.Text = l.at, l.origin(), l.label+f.Text
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[f.Finding] {
		return
	}
	if len(v.findings) >= v.o.MaxFindings {
		v.report.More++
		return
	}
	v.seen[f.Finding] = true
	v.findings = append(v.findings, f)
}

// enough reports whether the list is full.
func (v *exportVerifier) enough() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.report.More > 0
}

// conclude orders what was found.
func (v *exportVerifier) conclude() *ExportReport {
	slices.SortStableFunc(v.findings, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.log, b.log), cmp.Compare(a.Index, b.Index), cmp.Compare(a.Text, b.Text))
	})
	for _, f := range v.findings {
		v.report.Findings = append(v.report.Findings, f.Finding)
	}
	for _, l := range v.logs {
		e := ExportedLog{
			Number: l.number, Origin: l.origin(), Key: l.vkey,
			First: l.base, Size: l.point.Size, Root: l.point.Root[:], Dropped: l.dropped,
		}
		if s := l.succession; s != nil {
			e.Cause = s.Cause
			if s.Held != nil {
				v.report.Logs[l.at-1].Lost = max(0, s.Held.Size-l.previous.point.Size)
			}
		}
		v.report.Logs = append(v.report.Logs, e)
	}
	v.report.Tenant, v.report.Checked = tenancy.ID(v.tenant), v.checked
	return v.report
}
