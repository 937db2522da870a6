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
	if err := j.vault.locked(ctx, func() error { return j.vault.drop(run) }); err != nil {
		return err
	}
	return removeRun(ctx, j.target, run)
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
// that are too old to keep. What was committed once, the vault says, or a later
// run that names it, and never the target alone; if it is not any more, somebody
// must look. Other targets that share the vault are left alone.
func (j *Job) tidy(ctx context.Context, h *history) error {
	named := map[string]bool{}
	for _, r := range h.runs {
		if r.Manifest != nil && r.Manifest.Previous != nil {
			named[r.Manifest.Previous.Run] = true
		}
	}
	var errs []error
	for _, r := range h.runs {
		if errors.Is(r.Err, ErrNotCommitted) && !named[r.Name] && !h.knows(r.Name) {
			errs = append(errs, j.remove(ctx, r.Name))
		}
	}
	for _, c := range h.own[:max(0, len(h.own)+1-j.o.Keystores)] {
		errs = append(errs, j.vault.locked(ctx, func() error { return j.vault.drop(c.Run) }))
	}
	j.step("tidied")
	for _, run := range h.missing(j.Signer()) {
		errs = append(errs, damaged(run, "it was committed, and the target does not hold it any more (if two targets share the vault, name them by Options.Target)"))
	}
	return errors.Join(errs...)
}
