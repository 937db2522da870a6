package backup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/art32/art32/internal/sshsig"
)

// testimony is what a signer has said of his runs, wherever it lies. Whoever can
// write to a place can remove what was said there, and cannot make anything up:
// each place more that is asked is one more that he would have to reach.
type testimony struct {
	held  []commit // by the target, as the manifests say
	noted []commit // in folders of the vault, of all targets
}

// hear reads it. Beside an error it is what could be read.
func hear(ctx context.Context, target Target, dirs []string, by ed25519.PublicKey) (*testimony, error) {
	runs, err := List(ctx, target)
	noted, notedErr := notesIn(dirs, by)
	return &testimony{held: heldBy(runs, sshsig.FormatSigner(by)), noted: noted}, errors.Join(err, notedErr)
}

// heldBy are the committed runs of a signer.
func heldBy(runs []Run, signer string) (all []commit) {
	for _, r := range signedBy(runs, signer) {
		all = append(all, r.commit())
	}
	return all
}

// notesIn reads the notes in folders that nobody has locked.
func notesIn(dirs []string, by ed25519.PublicKey) ([]commit, error) {
	var open []*folder
	defer func() { closeAll(open) }()
	for _, dir := range dirs {
		f, err := openFolder(dir)
		if err != nil {
			return nil, err
		}
		open = append(open, f)
	}
	return notes(open, by)
}

// all are the runs, in whatever order; some stand twice.
func (t *testimony) all() []commit { return slices.Concat(t.held, t.noted) }

// reaches refuses a ledger that lacks what any run has seen.
func (c *chain) reaches(said []commit) error {
	for _, s := range said {
		if !c.holds(s.Ledger) {
			return fmt.Errorf("%w: run %s saw %d entries, the ledger holds %d and not those: it is older or was cut", ErrLedger, s.Run, s.Ledger.Entries, len(c.heads))
		}
	}
	return nil
}
