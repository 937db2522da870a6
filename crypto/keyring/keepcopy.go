package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/internal/filelock"
)

// DefaultCopyLife is how long [Ring.KeepCopy] keeps a copy: a destroyed key can
// come back for that long.
const DefaultCopyLife = 14 * 24 * time.Hour

// ErrFutureCopy says that a folder holds a copy whose name lies in the future:
// its life cannot be judged.
var ErrFutureCopy = errors.New("keyring: a copy of the keystore is dated in the future: set the clock, or delete the copy")

// KeepOptions of [Ring.KeepCopy].
type KeepOptions struct {
	// Life is how long copies are kept; default [DefaultCopyLife]. Declare it as
	// that of a copy of the keystore.
	Life time.Duration
}

// CopyFile is a copy in a folder.
type CopyFile struct {
	Path string    // with its folder
	At   time.Time // by its name, in UTC, to the millisecond
}

// Kept is what [Ring.KeepCopy] did.
type Kept struct {
	CopyFile

	Contents Contents   // of the new copy
	Deleted  []CopyFile // copies whose life was over
}

const (
	copyPrefix   = "keystore-"
	copySuffix   = ".jsonl"
	copyFileTime = "20060102T150405.000Z"
	copyLock     = ".lock"
	copyUnclear  = ".new" // behind the name of a copy that is not whole yet
	// clockTolerance is how far the clocks of those who write copies may differ.
	clockTolerance = 5 * time.Minute
)

// KeepCopy writes a copy of the keystore into the folder dir, which it makes with
// mode 0700 where there is none, reads it back, and deletes those whose life is
// over. It returns nil only when the copy is on disk, whole, and no older one is
// left. It never deletes the newest, so that a folder which had a copy keeps one:
// while no new one succeeds, the last one outlives its life, and the error says
// so. Call it more often than copies live, daily at the default.
//
// Files have mode 0600 and are named by their time. One process works on the
// folder at a time. Nothing else should copy the folder: what lives elsewhere
// nobody deletes.
func (r *Ring) KeepCopy(ctx context.Context, dir string, o *KeepOptions) (Kept, error) {
	life := DefaultCopyLife
	if o != nil && o.Life != 0 {
		life = o.Life
	}
	if life < 0 {
		return Kept{}, errors.New("keyring: keep copy: negative life")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Kept{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	if st, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return Kept{}, errors.Join(fmt.Errorf("keyring: keep copy: others may use the folder %q: give it mode 0700", dir), err)
	}
	lock, err := filelock.Wait(ctx, filepath.Join(dir, copyLock))
	if err != nil {
		return Kept{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	kept, err := r.addCopy(ctx, dir)
	deleted, errTidy := tidyCopies(dir, time.Now().Add(-life))
	kept.Deleted = deleted
	return kept, errors.Join(err, errTidy, lock.Unlock())
}

// CopyFiles returns the copies in a folder of [Ring.KeepCopy], the newest first.
func CopyFiles(dir string) ([]CopyFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("keyring: list copies: %w", err)
	}
	var files []CopyFile
	for _, e := range entries {
		if at, ok := copyFileAt(e.Name()); ok {
			files = append(files, CopyFile{Path: filepath.Join(dir, e.Name()), At: at})
		}
	}
	slices.SortFunc(files, func(a, b CopyFile) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Path, b.Path)) })
	return files, nil
}

func copyFileName(at time.Time) string { return copyPrefix + at.Format(copyFileTime) + copySuffix }

func copyFileAt(name string) (time.Time, bool) {
	text, ok := strings.CutPrefix(name, copyPrefix)
	text, whole := strings.CutSuffix(text, copySuffix)
	at, err := time.Parse(copyFileTime, text)
	return at, ok && whole && err == nil && copyFileName(at) == name
}

// addCopy gives a copy its name once it was read back.
func (r *Ring) addCopy(ctx context.Context, dir string) (Kept, error) {
	if err := removeUnclear(dir); err != nil {
		return Kept{}, err
	}
	path := filepath.Join(dir, copyPrefix+copyUnclear)
	contents, err := r.writeAndCheck(ctx, path)
	if err != nil {
		return Kept{}, errors.Join(err, removeUnclear(dir))
	}
	kept := Kept{CopyFile: CopyFile{Path: filepath.Join(dir, copyFileName(contents.At)), At: contents.At}, Contents: contents}
	if _, err := os.Lstat(kept.Path); !errors.Is(err, fs.ErrNotExist) {
		return Kept{}, errors.Join(fmt.Errorf("keyring: keep copy: %s is there already", kept.Path), err, removeUnclear(dir))
	}
	if err := os.Rename(path, kept.Path); err != nil {
		return Kept{}, errors.Join(fmt.Errorf("keyring: keep copy: %w", err), removeUnclear(dir))
	}
	return kept, syncDir(dir)
}

// removeUnclear removes what a process left that was killed: it holds keys.
func removeUnclear(dir string) error {
	if err := os.Remove(filepath.Join(dir, copyPrefix+copyUnclear)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keyring: keep copy: %w", err)
	}
	return nil
}

func (r *Ring) writeAndCheck(ctx context.Context, path string) (Contents, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Contents{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	defer f.Close()
	written, err := r.WriteCopy(ctx, f)
	if err != nil {
		return Contents{}, err
	}
	if err := f.Sync(); err != nil {
		return Contents{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return Contents{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	read, err := r.CheckCopy(ctx, f)
	if err == nil && (read.Records != written.Records || !read.At.Equal(written.At)) {
		err = errors.New("keyring: keep copy: it does not read as it was written")
	}
	if err := f.Close(); err != nil {
		return Contents{}, fmt.Errorf("keyring: keep copy: %w", err)
	}
	return written, err
}

// tidyCopies deletes the copies of before the time until, but never the newest
// that is not dated in the future.
func tidyCopies(dir string, until time.Time) (deleted []CopyFile, err error) {
	files, err := CopyFiles(dir)
	if err != nil {
		return nil, err
	}
	var problems []error
	newest := false
	for _, f := range files {
		switch {
		case f.At.After(time.Now().Add(clockTolerance)):
			problems = append(problems, fmt.Errorf("%w: %s", ErrFutureCopy, f.Path))
		case !newest:
			if newest = true; f.At.Before(until) {
				problems = append(problems, fmt.Errorf("keyring: keep copy: %s has outlived its life and is kept, being the last one", f.Path))
			}
		case f.At.Before(until):
			if err := os.Remove(f.Path); err != nil {
				problems = append(problems, fmt.Errorf("keyring: keep copy: %w", err))
				continue
			}
			deleted = append(deleted, f)
		}
	}
	if len(deleted) > 0 {
		problems = append(problems, syncDir(dir))
	}
	return deleted, errors.Join(problems...)
}
