package dbtest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a client program of PostgreSQL, such as psql: the
// one beside the programs of the server, else the one that the shell would find.
// Where there is none, the test fails and says what to type.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	processServer(tb) // installs what is missing, where it may
	if folder, err := programs(); err == nil {
		if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("dbtest: the test needs the program %s\n%s", name, advice())
	}
	return path
}
