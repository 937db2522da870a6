package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/migrate"
)

const keystoreName = "keystore.db"

// Keystore is a [keyring.Store] in a SQLite file of its own. It is safe for
// concurrent use.
type Keystore struct {
	keyring.Store
	keyring.Lister
	keyring.Rotator
	keyring.Destroyer
	keyring.Copier

	file *file
}

var (
	_ keyring.Store     = (*Keystore)(nil)
	_ keyring.Lister    = (*Keystore)(nil)
	_ keyring.Rotator   = (*Keystore)(nil)
	_ keyring.Destroyer = (*Keystore)(nil)
	_ keyring.Copier    = (*Keystore)(nil)
	_ io.Closer         = (*Keystore)(nil)
)

// OpenKeystore opens the file keystore.db in the directory dir, which it makes
// where there is none. Where the directory holds data already, a missing file is
// an error. The caller must keep it out of every backup of the data:
// a copy of it brings destroyed keys back. Its own backups should live short.
// Shred returns only when the wrapped key lies in no byte of the file and its
// log.
func OpenKeystore(ctx context.Context, dir string) (*Keystore, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("sqlite: open keystore: %w", err)
	}
	if err := ensureDir(dir); err != nil {
		return nil, fmt.Errorf("sqlite: open keystore: %w", err)
	}
	if err := lost(dir); err != nil {
		return nil, fmt.Errorf("sqlite: open keystore: %w", err)
	}
	u := use{rights: owner, sync: DurabilityFull.pragma(), timeout: defaultBusy}
	f := newFile(dir, keystoreName, u)
	if err := openKeystore(ctx, f); err != nil {
		return nil, fmt.Errorf("sqlite: open keystore: %w", errors.Join(err, f.close()))
	}
	store, ok := keyring.SQLStore(f.db, migrate.SQLite).(interface {
		keyring.Store
		keyring.Lister
		keyring.Rotator
		keyring.Destroyer
		keyring.Copier
	})
	if !ok {
		return nil, errors.Join(errors.New("sqlite: open keystore: the store cannot list, rotate or copy"), f.close())
	}
	return &Keystore{Store: store, Lister: store, Rotator: store, Destroyer: store, Copier: store, file: f}, nil
}

// lost refuses to begin a keystore beside data whose keys were in another one.
func lost(dir string) error {
	if size(filepath.Join(dir, platformName)) == 0 || size(filepath.Join(dir, keystoreName)) > 0 {
		return nil
	}
	return fmt.Errorf("%s is missing or empty beside %s: restore it from its own copy (art32 keys restore); a new one could not open what is encrypted",
		keystoreName, platformName)
}

// size is the length of a file; 0 if there is none.
func size(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

func openKeystore(ctx context.Context, f *file) error {
	if err := ensureFile(f.path); err != nil {
		return err
	}
	unclean, err := inspect(f.path, f.name)
	if err != nil {
		return err
	}
	if unclean {
		if err := f.check(ctx); err != nil {
			return err
		}
	}
	return translateMigration(f.migrate(ctx, nil, "FULL", keyring.Migrations()), f.name)
}

// Close closes the file. Closing again does nothing.
func (k *Keystore) Close() error { return k.file.shut() }
