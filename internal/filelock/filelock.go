// Package filelock lets one process at a time do what a file stands for.
//
// The operating system gives the lock back when the process ends, however it
// ends: no stale lock has to be judged by its age. Locks exclude within one
// process as well as between processes. It is advisory; where the system offers
// no such locks ([Between] is false) it holds within the process only.
package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// pause is how long a waiter sleeps between two attempts.
const pause = 5 * time.Millisecond

// Lock is a lock that is held.
type Lock struct {
	file *os.File
	path string
}

// held are the locks of this process, for systems that know no other.
var held sync.Map

// Try takes the lock of the file at path, which it makes with mode 0600 where
// there is none; nil without an error says that somebody else has it.
func Try(path string) (*Lock, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, taken := held.LoadOrStore(path, true); taken {
		return nil, nil //nolint:nilnil // documented: held by another is no error
	}
	l, err := open(path)
	if l == nil {
		held.Delete(path)
	}
	return l, err
}

func open(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	got, err := flock(f)
	if err != nil || !got {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{file: f, path: path}, nil
}

// Wait takes the lock of the file at path as soon as it is free, or returns the
// error of ctx.
func Wait(ctx context.Context, path string) (*Lock, error) {
	for {
		l, err := Try(path)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Unlock gives the lock back. The file stays.
func (l *Lock) Unlock() error {
	err := l.file.Close()
	held.Delete(l.path)
	return err
}
