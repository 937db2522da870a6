package backup

import (
	"cmp"
	"crypto/ed25519"
	"errors"
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

	previous *Previous // of a manifest; a note does not say
}

const (
	commitEnd          = ".json"
	signatureSuffix    = ".sig"
	commitSignatureEnd = commitEnd + signatureSuffix
)

func commitPath(run, end string) string { return keystoresDir + "/" + run + end }

// noteOf is the file that says so of a run.
func noteOf(run string) signed {
	return signed{commitPath(run, commitEnd), commitPath(run, commitSignatureEnd), func(text []byte) error {
		_, err := parseCommit(text, run)
		return err
	}}
}

func parseCommit(text []byte, run string) (*commit, error) {
	var c commit
	if strictJSON(text, &c) != nil || c.Format != commitFormat || c.Run != run {
		return nil, errors.New("it is not of this run")
	}
	return &c, nil
}

// note writes down that a run was committed. The caller has the lock.
func (v *Vault) note(target string, m *Manifest, digest string) error {
	return noteOf(m.Run).write(v, commit{
		Format: commitFormat, Target: target, Run: m.Run, Number: m.Number, Ended: m.Ended, Manifest: digest, Ledger: m.Ledger,
	})
}

// commit is what a committed run of a target says of itself.
func (r *Run) commit() commit {
	m := r.Manifest
	return commit{Run: r.Name, Number: m.Number, Ended: m.Ended, Manifest: r.digest, Ledger: m.Ledger, previous: m.Previous}
}

// id is the run as the one after it names it.
func (c *commit) id() Previous { return Previous{Run: c.Run, Manifest: c.Manifest} }

// commits are the runs that the vault knows, of all targets, in their order.
// What a crash left of noting or of dropping one is completed, or removed. The
// caller has the lock.
func (v *Vault) commits() ([]commit, error) {
	return eachNote(v.open, func(run string) ([]byte, error) { return noteOf(run).settle(v) })
}

// notes are the runs that folders of a vault tell of, of all targets, in their
// order: one folder suffices, since a crash can have fallen between them. What is
// not signed by by is refused.
func notes(folders []*folder, by ed25519.PublicKey) ([]commit, error) {
	return eachNote(folders, func(run string) (text []byte, err error) {
		for _, f := range folders {
			got, _, err := noteOf(run).read(f, by)
			switch {
			case err == nil:
				text = got
			case !errors.Is(err, fs.ErrNotExist):
				return nil, err
			}
		}
		if text == nil {
			return nil, fs.ErrNotExist
		}
		return text, nil
	})
}

// eachNote reads all that the folders have. A run without one has a signature
// left at most, or was dropped meanwhile.
func eachNote(folders []*folder, read func(run string) ([]byte, error)) ([]commit, error) {
	runs, err := notedRuns(folders)
	if err != nil {
		return nil, err
	}
	var all []commit
	for _, run := range runs {
		text, err := read(run)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c, err := parseCommit(text, run)
		if err != nil {
			return nil, err
		}
		all = append(all, *c)
	}
	slices.SortStableFunc(all, func(a, b commit) int { return cmp.Compare(a.Number, b.Number) })
	return all, nil
}

// notedRuns are the runs of which any folder holds a note, or a signature of one.
func notedRuns(folders []*folder) (runs []string, err error) {
	for _, f := range folders {
		names, err := f.names(keystoresDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, name := range names {
			run, ok := strings.CutSuffix(strings.TrimSuffix(name, signatureSuffix), commitEnd)
			if ok && runName.MatchString(run) {
				runs = append(runs, run)
			}
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(runs))), nil
}

// drop removes what the vault holds of a run: first the copy, so that the note
// tells of it as long as it is there, and the signature last.
func (v *Vault) drop(run string) error {
	for _, name := range []string{keystoreName(run), commitPath(run, commitEnd), commitPath(run, commitSignatureEnd)} {
		if err := v.removeAll(name); err != nil {
			return err
		}
	}
	return nil
}
