package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// history is what target and vault know of the runs before.
type history struct {
	runs  []Run    // of the target, as [List] gives them
	known []commit // of the vault, of all targets
	own   []commit // of this target
}

// history mends what a crash left of the vault, also of another process since the
// opening, and reads both. A run that was committed and then died before the
// vault was told is noted now, as long as its copy of the keystore is there.
func (j *Job) history(ctx context.Context) (*history, error) {
	h := &history{}
	var err error
	if h.runs, err = List(ctx, j.target); err != nil {
		return nil, err
	}
	return h, j.vault.locked(ctx, func() error {
		if err := j.vault.reconcile(); err != nil {
			return err
		}
		if h.known, err = j.vault.commits(); err != nil {
			return err
		}
		for _, r := range signedBy(h.runs, j.Signer()) {
			have, err := j.vault.holders(keystoreName(r.Name))
			if err == nil && len(have) > 0 && !h.knows(r.Name) {
				err = j.vault.note(j.o.Target, r.Manifest, r.digest)
			}
			if err != nil {
				return err
			}
		}
		h.known, err = j.vault.commits()
		h.own = slices.DeleteFunc(slices.Clone(h.known), func(c commit) bool { return c.Target != j.o.Target })
		return err
	})
}

func (h *history) knows(run string) bool {
	return slices.ContainsFunc(h.known, func(c commit) bool { return c.Run == run })
}

// last is the newest run that target or vault knows; nil for none.
func (h *history) last(signer string) (c *commit) {
	if own := signedBy(h.runs, signer); len(own) > 0 {
		last := own[len(own)-1].commit()
		c = &last
	}
	if n := len(h.own); n > 0 && (c == nil || h.own[n-1].Number > c.Number) {
		c = &h.own[n-1]
	}
	return c
}

// missing are runs of which the vault knows that they were committed, and which
// the target does not hold as such.
func (h *history) missing(signer string) (all []string) {
	own := signedBy(h.runs, signer)
	for _, c := range h.own {
		if !slices.ContainsFunc(own, func(r Run) bool { return r.Name == c.Run && r.digest == c.Manifest }) {
			all = append(all, c.Run)
		}
	}
	return all
}

// follows refuses a vault that is older than any run that it or the target tells
// of: its ledger, or the tenants' identities.
func (v *Vault) follows(ctx context.Context, h *history, signer string) error {
	return v.locked(ctx, func() error {
		if err := v.refresh(); err != nil {
			return err
		}
		if err := v.chain.reaches(slices.Concat(heldBy(h.runs, signer), h.known)); err != nil {
			return fmt.Errorf("%w: restore the vault's folders", err)
		}
		runs := signedBy(h.runs, signer)
		if len(runs) == 0 {
			return nil
		}
		return v.opens(runs[len(runs)-1].Manifest)
	})
}

// opens refuses a vault that does not have the identities of a run's parts: it
// is an old one, and would make new ones in silence.
func (v *Vault) opens(m *Manifest) error {
	for _, p := range m.Parts[1:] {
		name := tenantOf(p)
		gone, err := v.forgotten(name)
		if err != nil {
			return err
		}
		if gone {
			continue
		}
		r, err := v.readRecord(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil || r.Recipient != p.Recipients[0] {
			return fmt.Errorf("%w: it does not hold the identity that opens %s of the last run: it is an old one, restore the vault's folders", ErrVault, p.Name)
		}
	}
	return nil
}

// tenantOf is the pseudonym of the tenant whose part it is.
func tenantOf(p File) string { return p.Name[len(tenantsDir) : len(p.Name)-len(partSuffix)] }
