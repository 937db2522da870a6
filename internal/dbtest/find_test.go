package dbtest_test

import (
	"strings"
	"testing"

	"github.com/art32/art32/internal/dbtest"
)

func TestStartUsesTheNamedServer(t *testing.T) {
	const named = "postgres://someone:secret@127.0.0.1:1/postgres"
	t.Setenv("ART32_TEST_POSTGRES", named)
	server, err := dbtest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.URL() != named {
		t.Error("another server than the named one")
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartNamesTheCommandToType(t *testing.T) {
	t.Setenv("ART32_TEST_POSTGRES", "")
	t.Setenv("ART32_TEST_POSTGRES_BIN", "")
	t.Setenv("PATH", t.TempDir()) // neither programs nor apt-get
	defer dbtest.HideProgramFolders()()
	_, err := dbtest.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "install") || !strings.Contains(err.Error(), "ART32_TEST_POSTGRES=") {
		t.Errorf("error without the command to type: %v", err)
	}
}

func TestStartRefusesAFolderWithoutPrograms(t *testing.T) {
	t.Setenv("ART32_TEST_POSTGRES", "")
	t.Setenv("ART32_TEST_POSTGRES_BIN", t.TempDir())
	if _, err := dbtest.Start(t.Context()); err == nil {
		t.Error("a folder without programs is taken")
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	const password = "canary-8f31"
	for name, url := range map[string]string{
		"not a URL":    "postgres://u:" + password + "@[::1",
		"other scheme": "mysql://u:" + password + "@127.0.0.1/x",
		"bad option":   "postgres://u:" + password + "@127.0.0.1:1/x?sslmode=" + password,
		"nobody there": "postgres://u:" + password + "@127.0.0.1:1/x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := dbtest.OpenServer(t.Context(), url)
			if err == nil || strings.Contains(err.Error(), password) {
				t.Errorf("error: %v", err)
			}
		})
	}
}
