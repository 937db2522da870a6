package backup

import (
	"context"
	"errors"
	"fmt"
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
	return errors.Join(r.sink.abort(), r.remove(ctx, r.manifest.Run))
}

// remove removes the copy of a run's keystore, then the run: the copy can be
// told by its run as long as that is there.
func (j *Job) remove(ctx context.Context, run string) error {
	if err := j.removeKeystore(ctx, run); err != nil {
		return err
	}
	return removeRun(ctx, j.target, run)
}

func (j *Job) removeKeystore(ctx context.Context, run string) error {
	return j.vault.locked(ctx, func() error { return j.vault.removeAll(keystoreName(run)) })
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
// that are too old to keep. Runs of other targets that share the vault are left
// alone. A run that a later one names was committed once: if it is not any
// more, somebody must look.
func (j *Job) tidy(ctx context.Context, before []Run) error {
	named := map[string]bool{}
	for _, r := range before {
		if r.Manifest != nil && r.Manifest.Previous != nil {
			named[r.Manifest.Previous.Run] = true
		}
	}
	var errs []error
	for _, r := range before {
		if errors.Is(r.Err, ErrNotCommitted) && !named[r.Name] {
			errs = append(errs, j.remove(ctx, r.Name))
		}
	}
	own := signedBy(before, j.Signer())
	for _, r := range own[:max(0, len(own)+1-j.o.Keystores)] {
		errs = append(errs, j.removeKeystore(ctx, r.Name))
	}
	j.step("tidied")
	return errors.Join(errs...)
}
