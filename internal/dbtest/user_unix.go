//go:build unix

package dbtest

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged returns the user that runs the cluster in place of root, whom
// PostgreSQL refuses.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("neither a user postgres nor a user nobody")
}

// tempFolder returns the folder for temporary files, or /tmp when we are root
// and the user that runs the cluster could not write there.
func tempFolder() string {
	folder := os.TempDir()
	if os.Geteuid() == 0 && !openToAll(folder) {
		return "/tmp"
	}
	return folder
}

// openToAll reports whether everyone may write to the folder and enter the
// folders above it.
func openToAll(folder string) bool {
	need := os.FileMode(0o003)
	for {
		info, err := os.Stat(folder)
		if err != nil || info.Mode().Perm()&need != need {
			return false
		}
		above := filepath.Dir(folder)
		if above == folder {
			return true
		}
		folder, need = above, 0o001
	}
}

// lock waits until no other process holds the file and returns the release. The
// lock ends with the process.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}
