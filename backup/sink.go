package backup

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/art32/art32/tenancy"
)

// sink writes the parts of a run. A part is open from its first file until the
// source is done with it, or with all.
type sink struct {
	run       *run
	parts     map[tenancy.ID]*part
	tables    map[tenancy.ID][]Table
	forgotten map[tenancy.ID]bool
	files     []File
}

// Completer is what a [Sink] may offer beyond; that of a [Job] does.
type Completer interface {
	// Complete says that a tenant's part gets neither file nor table any more. A
	// source that visits tenants one after the other keeps few parts open so.
	Complete(ctx context.Context, tenant tenancy.ID) error
}

var (
	_ Sink      = (*sink)(nil)
	_ Completer = (*sink)(nil)
)

// File implements [Sink].
func (s *sink) File(ctx context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error {
	p, err := s.part(ctx, tenant)
	if err != nil || p == nil {
		return errors.Join(err, discard(p, r))
	}
	if name == tenantFile || name == tablesFile {
		return errors.New("backup: a source uses a name that belongs to the container")
	}
	if p.done != nil {
		return errors.New("backup: a file after the end of its part")
	}
	return p.file(name, size, contextReader{ctx, r})
}

func discard(p *part, r io.Reader) error {
	if p != nil {
		return nil
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// Table implements [Sink].
func (s *sink) Table(tenant tenancy.ID, t Table) { s.tables[tenant] = append(s.tables[tenant], t) }

// Complete implements [Completer].
func (s *sink) Complete(ctx context.Context, tenant tenancy.ID) error {
	p, err := s.part(ctx, tenant)
	if err != nil || p == nil {
		return err
	}
	return s.closePart(ctx, tenant, p)
}

// part is that of a tenant, begun if it was not; nil for one whose backups were
// forgotten.
func (s *sink) part(ctx context.Context, tenant tenancy.ID) (*part, error) {
	if p, ok := s.parts[tenant]; ok || s.forgotten[tenant] {
		return p, nil
	}
	name, to, err := s.recipients(ctx, tenant)
	if errors.Is(err, ErrForgotten) {
		s.leaveOut(tenant)
		return nil, nil //nolint:nilnil // documented: no part, and no error
	}
	if err != nil {
		return nil, err
	}
	object, err := s.run.create(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := newPart(object, name, s.run.manifest.Began, to)
	if err != nil {
		return nil, err
	}
	s.parts[tenant] = p
	if !tenant.IsZero() {
		err = p.json(tenantFile, tenantInfo{ID: tenant})
	}
	return p, err
}

// leaveOut says in the manifest that a tenant is not in the backup.
func (s *sink) leaveOut(tenant tenancy.ID) {
	s.forgotten[tenant] = true
	m := &s.run.manifest
	m.Excluded = append(m.Excluded, Excluded{
		Table:  tenantsDir + s.run.vault.names.tenant(tenant),
		Reason: "all backups of this tenant were given up for ever",
	})
}

// recipients names the part and those who can open it: the recovery recipients
// what tenants share, a tenant's identity alone its own.
func (s *sink) recipients(ctx context.Context, tenant tenancy.ID) (name string, to []string, err error) {
	if tenant.IsZero() {
		return sharedName, s.run.vault.recipient, nil
	}
	r, err := s.run.vault.recipientOf(ctx, tenant)
	if err != nil {
		return "", nil, err
	}
	return tenantsDir + r.Tenant + partSuffix, []string{r.Recipient}, nil
}

// close ends all parts that are open.
func (s *sink) close(ctx context.Context) error {
	for tenant, p := range s.parts {
		if err := s.closePart(ctx, tenant, p); err != nil {
			return err
		}
	}
	slices.SortFunc(s.files, func(a, b File) int { return strings.Compare(a.Name, b.Name) }) // shared before tenants/
	return nil
}

func (s *sink) closePart(ctx context.Context, tenant tenancy.ID, p *part) error {
	if p.done != nil {
		return nil
	}
	tables := sorted(s.tables[tenant])
	if err := p.json(tablesFile, tables); err != nil {
		return err
	}
	if err := p.close(ctx); err != nil {
		return err
	}
	s.files = append(s.files, *p.done)
	s.run.step("part")
	return nil
}

// sorted is never nil: none is an empty list in JSON.
func sorted(tables []Table) []Table {
	return slices.SortedFunc(slices.Values(append([]Table{}, tables...)), func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
}

// abort gives up what is open.
func (s *sink) abort() error {
	var errs []error
	for _, p := range s.parts {
		errs = append(errs, p.object.Abort())
	}
	return errors.Join(errs...)
}
