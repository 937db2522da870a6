package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// undoTime bounds the clearing away after a failure.
const undoTime = time.Minute

// undo removes what a failed run has written, the signature first: whatever
// stops this leaves an incomplete run, which the next one removes.
func (r *run) undo(ctx context.Context) error {
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	return errors.Join(r.sink.abort(), removeRun(ctx, r.target, r.manifest.Run),
		r.vault.locked(ctx, func() error { return r.vault.removeAll(keystoreName(r.manifest.Run)) }))
}

func removeRun(ctx context.Context, target Target, run string) error {
	names, err := target.List(ctx, run+"/")
	if err != nil {
		return fmt.Errorf("backup: remove run %s: %w", run, err)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return boolInt(!strings.HasSuffix(a, signatureName)) - boolInt(!strings.HasSuffix(b, signatureName))
	})
	for _, name := range names {
		if err := target.Remove(ctx, name); err != nil {
			return fmt.Errorf("backup: remove run %s: %w", run, err)
		}
	}
	return nil
}

// tidy removes what runs have left that died, and the copies of the keystore
// that are too old to keep. A run that a later one names was committed once: if
// it is not any more, somebody must look.
func (j *Job) tidy(ctx context.Context, before []Run, made string) error {
	named := map[string]bool{}
	for _, r := range before {
		if r.Manifest != nil && r.Manifest.Previous != nil {
			named[r.Manifest.Previous.Run] = true
		}
	}
	var errs []error
	for _, r := range before {
		if r.Err != nil && errors.Is(r.Err, ErrNotCommitted) && !named[r.Name] {
			errs = append(errs, removeRun(ctx, j.target, r.Name))
		}
	}
	keep := []string{keystoreName(made)}
	for _, r := range slices.Backward(signedBy(before, j.Signer())) {
		if len(keep) < j.o.Keystores {
			keep = append(keep, r.Manifest.Keystore.Name)
		}
	}
	err := errors.Join(append(errs, j.vault.keepKeystores(ctx, keep))...)
	j.step("tidied")
	return err
}

// keepKeystores removes all copies of the keystore but the named ones.
func (v *Vault) keepKeystores(ctx context.Context, keep []string) error {
	return v.locked(ctx, func() error {
		for _, dir := range v.dirs {
			entries, err := os.ReadDir(filepath.Join(dir, keystoresDir))
			if err != nil {
				return fmt.Errorf("%w: %w", ErrVault, err)
			}
			for _, e := range entries {
				name := keystoresDir + "/" + e.Name()
				if slices.Contains(keep, name) || !strings.HasSuffix(name, partSuffix) {
					continue
				}
				if err := v.removeAll(name); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
