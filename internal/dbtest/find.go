package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	envServer   = "ART32_TEST_POSTGRES"
	envPrograms = "ART32_TEST_POSTGRES_BIN"
	envFsync    = "ART32_TEST_POSTGRES_FSYNC"
)

// programFolders are the places where packages put the PostgreSQL programs.
var programFolders = []string{
	"/usr/lib/postgresql/*/bin",       // Debian, Ubuntu
	"/usr/pgsql-*/bin",                // Red Hat, packages of the project
	"/usr/libexec/postgresql*",        // Alpine
	"/opt/homebrew/opt/postgres*/bin", // macOS on ARM
	"/usr/local/opt/postgres*/bin",    // macOS on Intel
	"/usr/local/pgsql/bin",            // from source
}

var errNotFound = errors.New("dbtest: the tests need PostgreSQL 14 or newer and found none")

// Server is a running PostgreSQL server for tests.
type Server struct {
	url  string
	stop func() error
}

// URL returns the URL of the superuser, password included.
func (s *Server) URL() string { return s.url }

// Stop ends a server that Start started, and leaves one that it found alone.
func (s *Server) Stop() error {
	if s.stop == nil {
		return nil
	}
	return s.stop()
}

// Start finds a server, or starts one, in the order that the package comment
// gives. A started server ends with [Server.Stop] or with the process.
func Start(ctx context.Context) (*Server, error) {
	if url := os.Getenv(envServer); url != "" {
		return &Server{url: url}, nil
	}
	folder, err := programs()
	if errors.Is(err, errNotFound) && mayInstall() {
		if err = install(ctx); err == nil {
			folder, err = programs()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, advice())
	}
	return startCluster(ctx, folder)
}

// advice is the command that a person types next.
func advice() string {
	command := "sudo apt-get install -y postgresql"
	if runtime.GOOS == "darwin" {
		command = "brew install postgresql@17"
	}
	return "type:    " + command + "\nor name a server of yours:    export " + envServer +
		"=postgres://postgres:PASSWORD@127.0.0.1:5432/postgres"
}

// programs returns the folder that holds initdb and postgres: the one named by
// the environment, else the newest that is installed.
func programs() (string, error) {
	if folder := os.Getenv(envPrograms); folder != "" {
		if !complete(folder) {
			return "", fmt.Errorf("dbtest: %s holds no initdb and postgres", envPrograms)
		}
		return folder, nil
	}
	best, version := "", -1
	for _, pattern := range programFolders {
		found, _ := filepath.Glob(pattern) // the patterns are constants
		for _, folder := range found {
			if v := versionIn(folder); v > version && complete(folder) {
				best, version = folder, v
			}
		}
	}
	if best == "" {
		return fromPath()
	}
	return best, nil
}

// fromPath looks for the programs where the shell would.
func fromPath() (string, error) {
	initdb, err := exec.LookPath("initdb")
	if err != nil || !complete(filepath.Dir(initdb)) {
		return "", errNotFound
	}
	return filepath.Dir(initdb), nil
}

func complete(folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// versionIn returns the last number in a folder's name, 0 when it has none.
func versionIn(folder string) int {
	fields := strings.FieldsFunc(folder, func(r rune) bool { return r < '0' || r > '9' })
	if len(fields) == 0 {
		return 0
	}
	version, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		return 0
	}
	return version
}
