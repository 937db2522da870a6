//go:build !unix

package sqlitesource

import "io/fs"

// private is not to be seen where there are no owners in a file's status: the
// folder's place must be closed to others there.
func private(fs.FileInfo) bool { return true }

func single(fs.FileInfo) bool { return true }
