package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		script string
		want   int
	}{
		"the server is there": {`case "$ART32_TEST_POSTGRES" in postgres://*) exit 0;; *) exit 1;; esac`, 0},
		"status":              {"exit 7", 7},
		"signal":              {"kill -TERM $$", 128 + 15},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := run([]string{"/bin/sh", "-c", c.script})
			if err != nil || got != c.want {
				t.Errorf("status: got %d, %v, want %d", got, err, c.want)
			}
		})
	}
}

func TestRunStopsItsServer(t *testing.T) {
	t.Setenv("ART32_TEST_POSTGRES", "") // so that it starts one
	out := filepath.Join(t.TempDir(), "out")
	script := `PATH="$ART32_TEST_POSTGRES_BIN:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1):$PATH" psql -AXtc "SHOW data_directory" "$ART32_TEST_POSTGRES" >"$0"`
	if status, err := run([]string{"/bin/sh", "-c", script, out}); status != 0 || err != nil {
		t.Fatal(status, err)
	}
	folder, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(folder))); !os.IsNotExist(err) {
		t.Errorf("the cluster is left: %v", err)
	}
}

func TestRunSaysThatACommandIsMissing(t *testing.T) {
	t.Parallel()
	if status, err := run([]string{filepath.Join(t.TempDir(), "missing")}); status == 0 || err == nil {
		t.Errorf("status %d, %v", status, err)
	}
}
