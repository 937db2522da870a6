package backup

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Run is what a target holds under the name of one run.
type Run struct {
	// Name is made of the time and of chance: 20261123T073900Z-6f2c4a1b.
	Name string
	// Manifest is nil unless the run was committed: its manifest is whole and
	// signed by the key that it names.
	Manifest *Manifest
	// Err says why Manifest is nil.
	Err error

	digest  string   // of the manifest
	objects []string // all names
}

// List gives the runs of a target, the committed ones in the order in which
// they were made, then those that are incomplete. It looks at signatures, not
// at parts; whose the signatures are is for the caller to say ([Manifest].Signer).
func List(ctx context.Context, target Target) ([]Run, error) {
	names, err := target.List(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("backup: list: %w", err)
	}
	var runs []Run
	for _, name := range names {
		run, _, _ := strings.Cut(name, "/")
		switch {
		case !runName.MatchString(run):
			continue // not ours
		case len(runs) == 0 || runs[len(runs)-1].Name != run:
			runs = append(runs, Run{Name: run})
		}
		last := &runs[len(runs)-1]
		last.objects = append(last.objects, name)
	}
	for i := range runs {
		if err := runs[i].judge(ctx, target); err != nil {
			return nil, fmt.Errorf("backup: list: %w", err)
		}
	}
	slices.SortStableFunc(runs, byNumber)
	return runs, nil
}

// byNumber orders by what the clock cannot change.
func byNumber(a, b Run) int {
	switch {
	case a.Manifest == nil || b.Manifest == nil:
		return cmp.Compare(boolInt(a.Manifest == nil), boolInt(b.Manifest == nil))
	default:
		return cmp.Or(cmp.Compare(a.Manifest.Number, b.Manifest.Number), cmp.Compare(a.Name, b.Name))
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// judge sets Manifest or Err; it returns an error if the target fails.
func (r *Run) judge(ctx context.Context, target Target) error {
	m, text, err := readManifest(ctx, target, r.Name, nil)
	switch {
	case err == nil:
		r.Manifest, r.digest = m, digestOf(text)
	case errors.Is(err, ErrNotCommitted), errors.Is(err, ErrSignature), errors.Is(err, ErrDamaged):
		r.Err = err
	default:
		return err
	}
	return nil
}

// readManifest reads a run's manifest and checks its signature: against by, or
// against the key that the manifest names.
func readManifest(ctx context.Context, target Target, run string, by ed25519.PublicKey) (*Manifest, []byte, error) {
	if !runName.MatchString(run) {
		return nil, nil, errors.New("backup: that is no name of a run")
	}
	open := below(target, run)
	sig, err := readText(ctx, open, signatureName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: %s", ErrNotCommitted, run)
	}
	if err != nil {
		return nil, nil, err
	}
	text, err := readText(ctx, open, manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, damaged(manifestName, "missing")
	}
	if err != nil {
		return nil, nil, err
	}
	return checkManifest(run, text, sig, by)
}

// checkManifest parses nothing that nobody signed.
func checkManifest(run string, text, sig []byte, by ed25519.PublicKey) (*Manifest, []byte, error) {
	if by == nil {
		var err error
		if by, err = signedWith(sig); err != nil {
			return nil, nil, err
		}
	}
	if err := verify(by, namespaceManifest, text, sig); err != nil {
		return nil, nil, err
	}
	m, err := ParseManifest(text)
	if err != nil {
		return nil, nil, err
	}
	own, err := parseSigner(m.Signer)
	if err != nil {
		return nil, nil, damaged(manifestName, "it names no signer")
	}
	if !own.Equal(by) {
		return nil, nil, fmt.Errorf("%w: another key signed than the one that the manifest names", ErrSignature)
	}
	if m.Run != run {
		return nil, nil, damaged(manifestName, "it is that of another run")
	}
	return m, text, nil
}

// below opens objects of a run.
func below(target Target, run string) opener {
	return func(ctx context.Context, name string) (io.ReadCloser, error) { return target.Open(ctx, run+"/"+name) }
}

// signedBy keeps the committed runs of a signer, in their order.
func signedBy(runs []Run, signer string) []Run {
	return slices.DeleteFunc(slices.Clone(runs), func(r Run) bool { return r.Manifest == nil || r.Manifest.Signer != signer })
}
