//go:build unix

package audit_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/art32/art32/audit"
)

// A named pipe in place of a file is refused: reading it would wait for ever.
func TestVerifyExportPipe(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	for _, name := range []string{"0/checkpoint", "0/succession", "0/tile/0/000", "0/tile/entries/000"} {
		dir, _ := small(t, 300)
		path := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.RemoveAll(path))
		must(t, syscall.Mkfifo(path, 0o600))
		if r, err := audit.VerifyExport(t.Context(), dir, nil); err == nil {
			t.Errorf("%s: no error, but %+v", name, r)
		}
	}
}
