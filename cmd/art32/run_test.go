package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"os"

	"github.com/google/uuid"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	for _, test := range []struct {
		args string
		want int
	}{
		{"", exitUsage},
		{"help", exitOK},
		{"audit", exitUsage},
		{"audit verify", exitUsage},
		{"audit verify -h", exitOK},
		{"audit verify --nonsense", exitUsage},
		{"audit verify --data " + data, exitFindings},
		{"audit verify --dsn postgres://u@127.0.0.1:1/db", exitFindings},
		{"audit verify --dsn nonsense", exitUsage},
		{"init --data " + data, exitOK},
		{"init --data " + data, exitOK},
		{"init --data " + data + " --new-passwords", exitUsage},
		{"audit verify --data " + data, exitOK},
		{"audit verify --data " + data + " more", exitUsage},
		{"audit verify --data " + data + " --tenant x", exitUsage},
		{"audit verify --data " + data + " --pending -1s", exitUsage},
		{"audit verify --data " + data + " --tenant " + uuid.NewString(), exitFindings},
		{"audit verify --data " + data + " --key " + data, exitFindings},
		{"doctor --data " + data, exitOK},
		{"migrate --data " + data, exitOK},
	} {
		t.Run(test.args, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), strings.Fields(test.args), &stdout, &stderr); got != test.want {
				t.Errorf("exit code %d, want %d\n%s%s", got, test.want, &stdout, &stderr)
			}
			if test.want == exitOK && stderr.Len() > 0 {
				t.Errorf("stderr: %s", &stderr)
			}
		})
	}
}

// TestMoved shows that a file which somebody writes under a reading without locks
// is read again.
func TestMoved(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	var out bytes.Buffer
	if code := run(t.Context(), []string{"init", "--data", data}, &out, &out); code != exitOK {
		t.Fatal(out.String())
	}
	f, err := openFiles(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	look := func() {
		t.Helper()
		tx, err := f.begin(t.Context(), uuid.Nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = tx.Rollback()
	}
	look()
	if f.moved(uuid.Nil) {
		t.Error("nobody touched the file")
	}
	if err := os.Chtimes(filepath.Join(data, platformFile), time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if !f.moved(uuid.Nil) {
		t.Error("the file was written to, unnoticed")
	}
	look()
	if f.moved(uuid.Nil) {
		t.Error("nobody touched the file since")
	}
}
