package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/filelock"
)

// Folders of the vault, and its locks.
const (
	recordsDir   = "tenants"
	keystoresDir = "keystores"
	lockName     = ".lock"
	runLockName  = ".run"
	draftPrefix  = ".new-"
)

// minRecipients is how many people can lose their identity without a loss.
const minRecipients = 2

// Vault is the small store beside the backups that they cannot be opened
// without: the tenants' identities, encrypted to the recovery recipients, the
// copies of the keystore, and the [Ledger] of erasures. Each write goes to all
// its folders before it counts. Unlike backups, it must be able to forget: lay
// its folders on two disks that can delete, and in no backup. It is safe for
// concurrent use, also by several processes.
type Vault struct {
	dirs       []place // in the order of their ids: all lock in one order
	recipients []age.Recipient
	recipient  []string // the same as text
	names      pseudonyms
	signer     *signer

	mu    sync.Mutex
	open  []*folder // while it is locked
	chain *chain
	onStp func(string) // tests of crashes
}

// place is a folder of the vault by its path and its badge.
type place struct{ path, id string }

// OpenVault opens the vault in dirs, of which each must exist, belong to its
// owner only, and lie on a disk of its own; the first opening lays it out in
// empty ones. recipients are the public keys ("age1…") of those who can recover:
// at least two, such as an operator and a notary, whose identities are never on
// this machine. It refuses with [ErrVault] folders that miss something, or whose
// contents differ by more than a crash explains. It keeps no file open.
func OpenVault(ctx context.Context, keys *keyring.Ring, recipients []string, dirs ...string) (*Vault, error) {
	if keys == nil {
		return nil, errors.New("backup: open vault: keys must not be nil")
	}
	v := &Vault{chain: newChain(nil)}
	var err error
	if v.recipients, v.recipient, err = parseRecipients(recipients); err != nil {
		return nil, err
	}
	if v.dirs, err = introduceAll(ctx, dirs); err != nil {
		return nil, err
	}
	if v.names, err = openPseudonyms(ctx, keys); err != nil {
		return nil, err
	}
	if v.signer, err = openSigner(ctx, keys); err != nil {
		return nil, err
	}
	if err := v.locked(ctx, v.reconcile); err != nil {
		return nil, fmt.Errorf("backup: open vault: %w", err)
	}
	return v, nil
}

// Ledger is the ledger of erasures in the vault.
func (v *Vault) Ledger() *Ledger { return &Ledger{v} }

// introduceAll gives the folders their badges, and refuses two names of one.
func introduceAll(ctx context.Context, dirs []string) ([]place, error) {
	paths, err := checkFolders(dirs)
	if err != nil {
		return nil, err
	}
	var all []place
	for _, path := range paths {
		f, err := openFolder(path)
		if err != nil {
			return nil, err
		}
		id, err := f.introduce(ctx)
		f.close()
		if err != nil {
			return nil, fmt.Errorf("backup: open vault: %w", err)
		}
		all = append(all, place{path, id})
	}
	slices.SortFunc(all, func(a, b place) int { return strings.Compare(a.id, b.id) })
	for i := 1; i < len(all); i++ {
		if all[i].id == all[i-1].id {
			return nil, fmt.Errorf("%w: %s and %s are one folder, or one was copied from the other: remove %s in the copy", ErrVault, all[i-1].path, all[i].path, badgeName)
		}
	}
	return all, nil
}

// reconcile mends what one crash can have left, and refuses what it cannot.
func (v *Vault) reconcile() error {
	for _, f := range v.open {
		for _, sub := range []string{recordsDir, keystoresDir} {
			if err := f.root.MkdirAll(sub, 0o700); err != nil {
				return f.refuse(sub, err)
			}
		}
		if err := f.sweep(recordsDir); err != nil {
			return err
		}
	}
	if err := v.readLedger(); err != nil {
		return err
	}
	if err := v.reconcileRecords(); err != nil {
		return err
	}
	_, err := v.commits()
	return err
}

// openAll opens the folders, which must be those that were opened first: the
// place where a disk is to be mounted is not.
func (v *Vault) openAll() (all []*folder, err error) {
	for _, p := range v.dirs {
		f, err := openFolder(p.path)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, f)
		if id, err := f.id(); id != p.id {
			closeAll(all)
			return nil, errors.Join(fmt.Errorf("%w: folder %s is not the one that was opened: mount that one", ErrVault, p.path), err)
		}
	}
	return all, nil
}

func closeAll(folders []*folder) {
	for _, f := range folders {
		f.close()
	}
}

func unlockAll(locks []*filelock.Lock) {
	for _, l := range locks {
		_ = l.Unlock() // closing a file that was not written
	}
}

// locked runs fn while no other goroutine or process changes the vault.
func (v *Vault) locked(ctx context.Context, fn func() error) (err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open, err = v.openAll(); err != nil {
		return err
	}
	defer func() { closeAll(v.open); v.open = nil }()
	var locks []*filelock.Lock
	defer func() { unlockAll(locks) }()
	for _, f := range v.open {
		l, err := f.wait(ctx)
		if err != nil {
			return err
		}
		locks = append(locks, l)
	}
	return fn()
}

// alone takes what one run at a time has, in all folders.
func (v *Vault) alone() (release func(), err error) {
	folders, err := v.openAll()
	if err != nil {
		return nil, err
	}
	defer closeAll(folders)
	var locks []*filelock.Lock
	for _, f := range folders {
		l, err := f.lock(runLockName)
		if err == nil && l == nil {
			err = ErrBusy
		}
		if err != nil {
			unlockAll(locks)
			return nil, err
		}
		locks = append(locks, l)
	}
	return func() { unlockAll(locks) }, nil
}

func (v *Vault) step(name string) {
	if v.onStp != nil {
		v.onStp(name)
	}
}

// parseRecipients refuses fewer than two distinct ones.
func parseRecipients(texts []string) ([]age.Recipient, []string, error) {
	texts = slices.Compact(slices.Sorted(slices.Values(texts)))
	if len(texts) < minRecipients {
		return nil, nil, fmt.Errorf("%w: two distinct recovery recipients are needed: if the only one is lost, so is every backup", ErrVault)
	}
	all, err := age.ParseRecipients(strings.NewReader(strings.Join(texts, "\n") + "\n"))
	if err != nil || len(all) != len(texts) {
		return nil, nil, fmt.Errorf("%w: a recovery recipient is no public key of age (\"age1…\")", ErrVault)
	}
	if _, err := seal(nil, all); err != nil { // age mixes post-quantum ones with no others
		return nil, nil, fmt.Errorf("%w: the recovery recipients cannot be used together: %w", ErrVault, err)
	}
	return all, texts, nil
}

// checkFolders gives the folders' absolute paths.
func checkFolders(dirs []string) ([]string, error) {
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%w: no folder is given", ErrVault)
	}
	var out []string
	var infos []fs.FileInfo
	for _, dir := range dirs {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrVault, err)
		}
		if err := checkFolder(dir); err != nil {
			return nil, err
		}
		st, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrVault, err)
		}
		if slices.ContainsFunc(infos, func(o fs.FileInfo) bool { return os.SameFile(o, st) }) {
			return nil, fmt.Errorf("%w: folder %s is given twice", ErrVault, dir)
		}
		out, infos = append(out, dir), append(infos, st)
	}
	return out, nil
}

// checkFolder names the folder as a terminal can show it, and in a command as a
// shell can take it: whoever mends it copies what it says.
func checkFolder(dir string) error {
	st, err := os.Stat(dir)
	dir = oneLine(dir)
	switch {
	case err != nil:
		return fmt.Errorf("%w: folder %s is missing: mount it, or make it once with mkdir -m 700", ErrVault, dir)
	case !st.IsDir():
		return fmt.Errorf("%w: %s is no folder", ErrVault, dir)
	case runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%w: folder %s is open to other users: chmod 700 %s", ErrVault, dir, shellWord(dir))
	}
	return nil
}

// shellWord is a text as one word of a shell, in which nothing has a meaning.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
