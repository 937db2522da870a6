package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/sshsig"
)

// Recorder is the log that each run leaves its trace in; *audit.Recorder is one.
type Recorder interface {
	// Record writes an event of the platform, or returns an error.
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

const defaultKeystores = 3

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Keystores is how many copies of the keystore the vault keeps for a target,
	// the newest: so many runs can be restored. An older copy would bring
	// destroyed keys back. Default: 3.
	Keystores int
	// Target names the target in the vault: lower-case letters, digits and
	// hyphens. Targets that share a vault need different names. Default: none,
	// for the only one.
	Target string

	step func(name string) // tests of crashes
}

// Job makes backups of one source into one target. It is safe for concurrent
// use; one run at a time is under way, of all processes that share the vault.
type Job struct {
	source   Source
	target   Target
	vault    *Vault
	recorder Recorder
	o        Options
}

// New joins source, target and vault. keys must be those that the vault was
// opened with; recorder is the log that a run is recorded in before it counts.
func New(source Source, target Target, vault *Vault, keys *keyring.Ring, recorder Recorder, o *Options) (*Job, error) {
	if source == nil || target == nil || vault == nil || keys == nil || recorder == nil {
		return nil, errors.New("backup: new: source, target, vault, keys and recorder must not be nil")
	}
	j := &Job{source: source, target: target, vault: vault, recorder: recorder}
	if o != nil {
		j.o = *o
	}
	if j.o.Keystores < 0 || !targetName.MatchString(j.o.Target) {
		return nil, errors.New("backup: new: options: negative value, or no name of a target")
	}
	if err := vault.apart(target); err != nil {
		return nil, fmt.Errorf("backup: new: %w", err)
	}
	if j.o.Keystores == 0 {
		j.o.Keystores = defaultKeystores
	}
	return j, nil
}

var targetName = regexp.MustCompile(`^[a-z0-9-]{0,40}$`)

// apart refuses a target that lies in a folder of the vault, or the other way,
// as far as the target tells where it is.
func (v *Vault) apart(target Target) error {
	t, ok := target.(interface{ Dir() string })
	if !ok {
		return nil
	}
	for _, p := range v.dirs {
		if within(t.Dir(), p.path) || within(p.path, t.Dir()) {
			return fmt.Errorf("%w: the target and folder %s lie in one another: one must forget, the other must not", ErrVault, p.path)
		}
	}
	return nil
}

// within reports whether a folder is another one or lies below it, under
// whatever names.
func within(dir, other string) bool {
	want, err := os.Stat(other)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false
	}
	for {
		st, err := os.Stat(dir)
		if err == nil && os.SameFile(st, want) {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}

// Signer is the public key that vouches for the runs, as it stands in a file
// authorized_keys. The operator holds it elsewhere: it tells a backup from one
// that somebody else put there.
func (j *Job) Signer() string { return sshsig.FormatSigner(j.vault.signer.public) }

func (j *Job) step(name string) {
	if j.o.step != nil {
		j.o.step(name)
	}
}

// Check gives the figures of the backups (TOM-7.1): how old the newest committed
// run is, how many runs are committed, incomplete, and signed by others, how many
// are missing that the vault knows to have been committed, and the state of the
// vault. "age" is missing where no run is committed. vault_folders below 2 means
// that one broken disk loses every backup; stale_recipients counts tenants whose
// identity is encrypted to other recovery recipients than those in use.
func (j *Job) Check(ctx context.Context) ([]slog.Attr, error) {
	h, err := j.history(ctx)
	if err != nil {
		return nil, err
	}
	committed := signedBy(h.runs, j.Signer())
	var attrs []slog.Attr
	if n := len(committed); n > 0 {
		newest := committed[n-1].Manifest
		attrs = append(attrs, slog.String("newest", newest.Run), slog.Duration("age", time.Since(newest.Ended).Truncate(time.Second)))
	}
	incomplete := 0
	for _, r := range h.runs {
		incomplete += boolInt(r.Manifest == nil)
	}
	stale, keystores, err := j.vault.look(ctx)
	if err != nil {
		return nil, err
	}
	return append(attrs,
		slog.Int("committed", len(committed)), slog.Int("incomplete", incomplete),
		slog.Int("foreign", len(h.runs)-len(committed)-incomplete), slog.Int("missing", len(h.missing(j.Signer()))),
		slog.Int("recipients", len(j.vault.recipients)), slog.Int("vault_folders", len(j.vault.dirs)),
		slog.Int("stale_recipients", stale), slog.Int("keystore_copies", keystores),
		slog.Int64("ledger_entries", j.vault.Ledger().State().Entries)), nil
}

// look looks through the vault and counts the tenants whose identities are
// encrypted to others than the vault's recipients, and the copies of the
// keystore that all folders hold.
func (v *Vault) look(ctx context.Context) (stale, keystores int, err error) {
	err = v.locked(ctx, func() error {
		if stale, err = v.stale(); err != nil {
			return err
		}
		keystores, err = v.keystores()
		return err
	})
	return stale, keystores, err
}

func (v *Vault) stale() (n int, err error) {
	names, err := v.recordNames()
	for _, name := range names {
		r, err := v.readRecord(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // forgotten
		case err != nil:
			return 0, err
		case !slices.Equal(r.Recipients, v.recipient):
			n++
		}
	}
	return n, err
}

func (v *Vault) keystores() (n int, err error) {
	names, err := v.open[0].names(keystoresDir)
	for _, name := range names {
		if !strings.HasSuffix(name, partSuffix) {
			continue
		}
		have, err := v.holders(keystoresDir + "/" + name)
		if err != nil {
			return 0, err
		}
		n += boolInt(len(have) == len(v.open))
	}
	return n, err
}

func keystoreName(run string) string { return keystoresDir + "/" + run + partSuffix }
