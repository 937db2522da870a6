package backup

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/crypto/keyring"
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
	if j.o.Keystores < 0 {
		return nil, errors.New("backup: new: options: negative value")
	}
	if j.o.Keystores == 0 {
		j.o.Keystores = defaultKeystores
	}
	return j, nil
}

// Signer is the public key that vouches for the runs, as it stands in a file
// authorized_keys. The operator holds it elsewhere: it tells a backup from one
// that somebody else put there.
func (j *Job) Signer() string { return formatSigner(j.vault.signer.public) }

func (j *Job) step(name string) {
	if j.o.step != nil {
		j.o.step(name)
	}
}

// Check gives the figures of the backups (TOM-7.1): how old the newest committed
// run is, how many runs are committed, incomplete, and signed by others, and the
// state of the vault. "age" is missing where no run is committed. vault_folders below 2 means
// that one broken disk loses every backup; stale_recipients counts tenants whose
// identity is encrypted to other recovery recipients than those in use.
func (j *Job) Check(ctx context.Context) ([]slog.Attr, error) {
	runs, err := List(ctx, j.target)
	if err != nil {
		return nil, err
	}
	committed := signedBy(runs, j.Signer())
	var attrs []slog.Attr
	if n := len(committed); n > 0 {
		newest := committed[n-1].Manifest
		attrs = append(attrs, slog.String("newest", newest.Run), slog.Duration("age", time.Since(newest.Ended).Truncate(time.Second)))
	}
	incomplete := 0
	for _, r := range runs {
		incomplete += boolInt(r.Manifest == nil)
	}
	stale, err := j.vault.stale(ctx)
	if err != nil {
		return nil, err
	}
	return append(attrs,
		slog.Int("committed", len(committed)), slog.Int("incomplete", incomplete),
		slog.Int("foreign", len(runs)-len(committed)-incomplete),
		slog.Int("recipients", len(j.vault.recipients)), slog.Int("vault_folders", len(j.vault.dirs)),
		slog.Int("stale_recipients", stale), slog.Int("keystore_copies", len(j.vault.keystores())),
		slog.Int64("ledger_entries", j.vault.Ledger().State().Entries)), nil
}

// stale looks through the vault and counts the tenants whose identities are
// encrypted to others than the vault's recipients.
func (v *Vault) stale(ctx context.Context) (n int, err error) {
	err = v.locked(ctx, func() error {
		if err := v.reconcile(); err != nil {
			return err
		}
		names, err := v.recordNames()
		for _, name := range names {
			r, err := v.readRecord(name)
			switch {
			case errors.Is(err, fs.ErrNotExist): // forgotten
			case err != nil:
				return err
			case !slices.Equal(r.Recipients, v.recipient):
				n++
			}
		}
		return err
	})
	return n, err
}

// keystores are the names of the copies of the keystore that all folders hold.
func (v *Vault) keystores() (names []string) {
	entries, err := os.ReadDir(filepath.Join(v.dirs[0], keystoresDir))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name := keystoresDir + "/" + e.Name()
		if have, err := v.holders(name); err == nil && len(have) == len(v.dirs) && strings.HasSuffix(name, partSuffix) {
			names = append(names, name)
		}
	}
	return names
}

func keystoreName(run string) string { return keystoresDir + "/" + run + partSuffix }
