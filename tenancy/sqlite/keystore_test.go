package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/art32/art32/tenancy/sqlite"
)

// TestKeystoreMissing: keys that are gone are not replaced in silence by new
// ones, with which nothing that exists can be read.
func TestKeystoreMissing(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	for _, damage := range []string{"removed", "emptied"} {
		t.Run("sqlite/"+damage, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			store, err := sqlite.OpenKeystore(t.Context(), dir)
			must(t, err)
			must(t, store.Close())
			must(t, os.WriteFile(filepath.Join(dir, "platform.db"), []byte("SQLite format 3"), 0o600))
			path := filepath.Join(dir, "keystore.db")
			if damage == "removed" {
				must(t, os.Remove(path))
			} else {
				must(t, os.Truncate(path, 0))
			}
			_, err = sqlite.OpenKeystore(t.Context(), dir)
			if err == nil || !strings.Contains(err.Error(), "keystore.db is missing or empty") {
				t.Fatal(err)
			}
			if st, err := os.Stat(path); err == nil && st.Size() > 0 {
				t.Error("a keystore was made")
			}
		})
	}
}
