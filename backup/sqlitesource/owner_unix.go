//go:build unix

package sqlitesource

import (
	"io/fs"
	"os"
	"syscall"
)

// private reports whether a folder is this user's and closed to everybody else.
func private(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && int64(sys.Uid) == int64(os.Geteuid()) && st.Mode().Perm()&0o077 == 0
}

// single reports whether a file has one name.
func single(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	return ok && sys.Nlink == 1
}
