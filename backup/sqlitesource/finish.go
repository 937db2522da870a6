package sqlitesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Finish implements [backup.Destination]. Data and keystore get their names both,
// or neither does.
func (d *Destination) Finish(context.Context) error {
	places := []*place{&d.keys, &d.data}
	if d.keys.dir == d.data.dir {
		places = places[1:]
	}
	if err := finish(places); err != nil {
		return fmt.Errorf("sqlitesource: restore: %w", err)
	}
	return nil
}

func finish(places []*place) error {
	for _, p := range places {
		if err := errors.Join(p.sync(), p.free()); err != nil {
			return err
		}
	}
	for i, p := range places {
		if err := p.appear(); err != nil {
			errs := []error{err}
			for _, done := range places[:i+1] {
				errs = append(errs, done.vanish())
			}
			return errors.Join(errs...)
		}
	}
	var errs []error
	for _, p := range places {
		errs = append(errs, p.lock.Unlock())
		p.draft, p.lock = "", nil
	}
	return errors.Join(errs...)
}

// sync brings everything to the disk.
func (p *place) sync() error {
	return filepath.WalkDir(p.draft, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncPath(path, e.IsDir())
	})
}

// appear gives the directory its name.
func (p *place) appear() error {
	if err := os.Remove(p.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it is empty, or something came in meanwhile
	}
	if err := os.Rename(p.draft, p.dir); err != nil {
		return err
	}
	p.named = true
	marker := os.Remove(filepath.Join(p.dir, markerName))
	return errors.Join(marker, syncPath(p.dir, true), syncPath(filepath.Dir(p.dir), true))
}

// vanish takes the name away again; Abort then removes the rest.
func (p *place) vanish() error {
	if !p.named {
		return nil
	}
	p.named = false
	return os.Rename(p.dir, p.draft)
}

func syncPath(path string, dir bool) error {
	if dir && runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	flag := os.O_RDWR
	if dir {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
