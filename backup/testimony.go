package backup

import (
	"cmp"
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
	open, err := openFolders(dirs)
	if err != nil {
		return nil, err
	}
	defer closeAll(open)
	return notes(open, by)
}

// all are the runs, in whatever order; some stand twice.
func (t *testimony) all() []commit { return slices.Concat(t.held, t.noted) }

// newer names the runs of the same target that came after one, in their order.
// Numbers tell it within a target, between targets the time does.
func (t *testimony) newer(m *Manifest) (names []string) {
	of := t.owners()
	own, target := t.targets(of), ""
	for _, h := range t.held {
		if h.Run == m.Run {
			target = of[h.id()]
		}
	}
	later := slices.DeleteFunc(t.all(), func(c commit) bool {
		name := of[c.id()]
		return own != nil && !own[name] || c.Number <= m.Number && (name == target || !c.Ended.After(m.Ended))
	})
	slices.SortFunc(later, func(a, b commit) int { return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Run, b.Run)) })
	for _, c := range later {
		names = append(names, c.Run)
	}
	return slices.Compact(names)
}

// targets are the names that the vault has for the target: those of the runs that
// it holds. Where one of them is of nobody knows which it is nil, and stands for
// every name: a target that was set back far enough is no new one, and a run of
// another that lies in it does not make it that one.
func (t *testimony) targets(of map[Previous]string) (names map[string]bool) {
	for _, h := range t.held {
		name, known := of[h.id()]
		if !known {
			return nil
		}
		if names == nil {
			names = map[string]bool{}
		}
		names[name] = true
	}
	return names
}

// owners are the names of the targets that runs were made into: as the vault
// notes it, which it does of the newest; and of older ones, as each run names the
// one before it in the same target.
func (t *testimony) owners() map[Previous]string {
	of := map[Previous]string{}
	for _, c := range t.noted {
		of[c.id()] = c.Target
	}
	link := func(from, to Previous) {
		name, known := of[from]
		if _, told := of[to]; known && !told {
			of[to] = name
		}
	}
	for _, h := range slices.Backward(t.held) {
		if h.previous != nil {
			link(h.id(), *h.previous)
		}
	}
	for _, h := range t.held { // not noted yet
		if h.previous != nil {
			link(*h.previous, h.id())
		}
	}
	return of
}

// reaches refuses a ledger that lacks what any run has seen.
func (c *chain) reaches(said []commit) error {
	for _, s := range said {
		if !c.holds(s.Ledger) {
			return fmt.Errorf("%w: run %s saw %d entries, the ledger holds %d and not those: it is older or was cut", ErrLedger, s.Run, s.Ledger.Entries, len(c.heads))
		}
	}
	return nil
}

// Newest is the manifest of the newest committed run that the target holds of a
// signer; "" and [SignerOfManifest] stand for whoever signed it. Folders of the
// vault are asked too: what is noted there must be signed by the same key. It
// fails with [ErrNoRun] where the target holds none, and with [ErrRolledBack],
// beside the manifest, where the vault tells of newer ones.
func Newest(ctx context.Context, target Target, signer string, vault ...string) (*Manifest, error) {
	m, err := newest(ctx, target, named(signer), vault)
	if err != nil {
		return m, fmt.Errorf("backup: newest: %w", err)
	}
	return m, nil
}

func newest(ctx context.Context, target Target, signer string, vault []string) (*Manifest, error) {
	if target == nil {
		return nil, errors.New("the target must not be nil")
	}
	runs, err := List(ctx, target)
	if err != nil {
		return nil, err
	}
	m, err := lastOf(runs, signer)
	if err != nil || len(vault) == 0 {
		return m, err
	}
	dirs, err := checkFolders(vault)
	if err != nil {
		return nil, err
	}
	by, err := parseSigner(m.Signer)
	if err != nil {
		return nil, err
	}
	noted, err := notesIn(dirs, by)
	if err != nil {
		return nil, err
	}
	t := &testimony{held: heldBy(runs, m.Signer), noted: noted}
	if later := t.newer(m); len(later) > 0 {
		return m, fmt.Errorf("%w: the vault tells of %d after %s, the last of them %s", ErrRolledBack, len(later), m.Run, later[len(later)-1])
	}
	return m, nil
}

// lastOf is the manifest of the last committed run of a signer, or of anybody.
func lastOf(runs []Run, signer string) (*Manifest, error) {
	none := ErrNoRun
	if signer != "" {
		by, err := parseSigner(signer)
		if err != nil {
			return nil, err
		}
		runs, none = signedBy(runs, sshsig.FormatSigner(by)), fmt.Errorf("%w of that signer", ErrNoRun)
	}
	for _, r := range slices.Backward(runs) {
		if r.Manifest != nil {
			return r.Manifest, nil
		}
	}
	return nil, none
}
