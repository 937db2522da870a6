package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

const commitFormat = "art32-commit/v1"

// commit is what the vault knows, signed, of a run that was committed: whoever
// can write the target can make a run look as if it never was, and must not get
// the vault to throw away what opens the copies elsewhere. It lies beside the
// copy of the keystore, and goes with it.
type commit struct {
	Format   string      `json:"format"`
	Target   string      `json:"target"` // [Options.Target]
	Run      string      `json:"run"`
	Number   int64       `json:"number"`
	Ended    time.Time   `json:"ended"`
	Manifest string      `json:"manifest"` // its SHA-256
	Ledger   LedgerState `json:"ledger"`
}

const (
	commitEnd          = ".json"
	commitSignatureEnd = ".json.sig"
)

func commitPath(run, end string) string { return keystoresDir + "/" + run + end }

// note writes down that a run was committed. The caller has the lock.
func (v *Vault) note(target string, m *Manifest, digest string) error {
	return v.writeSigned(commitPath(m.Run, commitEnd), commitPath(m.Run, commitSignatureEnd), commit{
		Format: commitFormat, Target: target, Run: m.Run, Number: m.Number, Ended: m.Ended, Manifest: digest, Ledger: m.Ledger,
	})
}

// commits are the runs that the vault knows, of all targets, in their order. The
// caller has the lock.
func (v *Vault) commits() ([]commit, error) {
	var runs []string
	for _, f := range v.open {
		names, err := f.names(keystoresDir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if run, ok := strings.CutSuffix(name, commitEnd); ok && runName.MatchString(run) {
				runs = append(runs, run)
			}
		}
	}
	var all []commit
	for _, run := range slices.Compact(slices.Sorted(slices.Values(runs))) {
		c, err := v.commitOf(run)
		if err != nil {
			return nil, err
		}
		all = append(all, *c)
	}
	slices.SortStableFunc(all, func(a, b commit) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// commitOf reads what the folders say of a run: one suffices, since a crash can
// have fallen between them; one that is not signed is refused.
func (v *Vault) commitOf(run string) (c *commit, err error) {
	for _, f := range v.open {
		got, err := f.commit(run, v.signer)
		switch {
		case err == nil:
			c = got
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if c == nil {
		return nil, fs.ErrNotExist
	}
	return c, nil
}

func (f *folder) commit(run string, s *signer) (*commit, error) {
	text, err := f.read(commitPath(run, commitEnd))
	if err != nil {
		return nil, err
	}
	sig, err := f.read(commitPath(run, commitSignatureEnd))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("it has no signature: %w", ErrSignature)
	}
	if err == nil {
		err = verify(s.public, namespaceVault, text, sig)
	}
	var c commit
	if err == nil && (strictJSON(text, &c) != nil || c.Format != commitFormat || c.Run != run) {
		err = errors.New("it is not of this run")
	}
	if err != nil {
		return nil, f.refuse(commitPath(run, commitEnd), err)
	}
	return &c, nil
}

// drop removes what the vault holds of a run.
func (v *Vault) drop(run string) error {
	for _, name := range []string{commitPath(run, commitEnd), commitPath(run, commitSignatureEnd), keystoreName(run)} {
		if err := v.removeAll(name); err != nil {
			return err
		}
	}
	return nil
}

// history is what target and vault know of the runs before.
type history struct {
	runs  []Run    // of the target, as [List] gives them
	known []commit // of the vault, of all targets
	own   []commit // of this target
}

// history reads both. A run that was committed and then died before the vault
// was told is noted now, as long as its copy of the keystore is there.
func (j *Job) history(ctx context.Context) (*history, error) {
	h := &history{}
	var err error
	if h.runs, err = List(ctx, j.target); err != nil {
		return nil, err
	}
	return h, j.vault.locked(ctx, func() error {
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
		r := own[len(own)-1]
		c = &commit{Run: r.Name, Number: r.Manifest.Number, Manifest: r.digest, Ledger: r.Manifest.Ledger}
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
