package backup

import (
	"cmp"
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

// drop removes what the vault holds of a run, the note last.
func (v *Vault) drop(run string) error {
	for _, name := range []string{keystoreName(run), commitPath(run, commitEnd), commitPath(run, commitSignatureEnd)} {
		if err := v.removeAll(name); err != nil {
			return err
		}
	}
	return nil
}
