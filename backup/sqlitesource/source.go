package sqlitesource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/internal/filelock"
)

// Names of tenancy/sqlite.
const (
	platformName = "platform.db"
	tenantsDir   = "tenants"
	suffix       = ".db"
	keystoreName = "keystore.db"
)

const (
	scratchPrefix = ".backup-"
	lockName      = ".backup.lock"
)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Keystore is the directory of keystore.db. Default: that of the data.
	Keystore string
}

// Source is a directory of tenancy/sqlite. It is safe for concurrent use.
type Source struct {
	dir, keys string

	step func(name string) // tests of crashes and races
}

var _ backup.Source = (*Source)(nil)

// New gives the source for the directory dir, which it does not touch yet.
// Programs may use the directory all the while.
func New(dir string, o *Options) *Source {
	s := &Source{dir: dir, keys: dir, step: func(string) {}}
	if o != nil && o.Keystore != "" {
		s.keys = o.Keystore
	}
	return s
}

// Engine implements [backup.Source].
func (s *Source) Engine() string { return "sqlite" }

// Snapshot implements [backup.Source].
func (s *Source) Snapshot(ctx context.Context) (backup.Snapshot, error) {
	dir, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, fmt.Errorf("sqlitesource: %w", err)
	}
	keys, err := filepath.Abs(s.keys)
	if err != nil {
		return nil, fmt.Errorf("sqlitesource: %w", err)
	}
	for _, path := range []string{filepath.Join(dir, platformName), filepath.Join(keys, keystoreName)} {
		if st, err := os.Lstat(path); err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
			return nil, fmt.Errorf("sqlitesource: %s is missing or empty: this is no directory of tenancy/sqlite", path)
		}
	}
	v := &snapshot{dir: dir, keys: keys, step: s.step}
	if err := v.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitesource: %w", err), v.Close())
	}
	return v, nil
}

// begin makes the folder for the copies, and removes those of runs that died.
func (v *snapshot) begin(ctx context.Context) (err error) {
	if v.lock, err = filelock.Try(filepath.Join(v.dir, lockName)); err != nil {
		return err
	}
	if v.lock == nil {
		return backup.ErrBusy
	}
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), scratchPrefix) {
			if err := clearAway(filepath.Join(v.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if v.scratch, err = os.MkdirTemp(v.dir, scratchPrefix); err != nil { // mode 0700
		return err
	}
	v.tenants, v.files, err = readTenants(ctx, filepath.Join(v.dir, platformName))
	return err
}
