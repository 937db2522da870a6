package interop

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func newKey(t *testing.T, name string) string {
	t.Helper()
	_, vkey, err := note.GenerateKey(rand.Reader, name)
	must(t, err)
	return vkey
}
