package audit_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
)

// An export verifies with nothing but its own files.
func TestExportStandsAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		dir := filepath.Join(t.TempDir(), "a", "export")
		wantErr(t, audit.Export(t.Context(), w.db, w.a, dir), audit.ErrNoLog)
		for _, n := range []int{1, 255, 45} { // 1, 256 and 301 entries
			w.sealed(t, n)
			must(t, audit.Export(t.Context(), w.db, w.a, dir))
			checkExport(t, dir)
		}
		must(t, audit.Export(t.Context(), w.db, w.a, dir)) // nothing new
		must(t, os.WriteFile(filepath.Join(dir, "tile", "0", "000"), []byte("damaged"), 0o600))
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		checkExport(t, dir)
		wantErr(t, audit.Export(t.Context(), w.db, w.b, dir), audit.ErrNoLog)
	})
}

func checkExport(t *testing.T, dir string) {
	t.Helper()
	file := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		must(t, err)
		return b
	}
	c, err := audit.ParseCheckpoint(file("checkpoint"), string(file("log.vkey")))
	must(t, err)
	var hashes []tlog.Hash
	for _, tile := range tlog.NewTiles(8, 0, c.Size) {
		if tile.L != 0 {
			continue
		}
		name := tile.Path()[len("tile/8/0/"):]
		data, bundle := file("tile/0/"+name), file("tile/entries/"+name)
		for i := range tile.W {
			n := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+n]
			bundle = bundle[2+n:]
			l, err := audit.ParseLeaf(entry)
			must(t, err)
			if "art32.audit/"+l.Log.String() != c.Origin {
				t.Fatal("a leaf of another log")
			}
			h := tlog.RecordHash(entry)
			if !bytes.Equal(h[:], data[i*32:][:32]) {
				t.Fatalf("entry %d does not match its tile", i)
			}
			hashes = append(hashes, h)
		}
		if len(bundle) != 0 || len(data) != 32*tile.W {
			t.Fatal("bytes are left")
		}
	}
	if audit.FoldRoot(hashes) != tlog.Hash(c.Root) {
		t.Fatal("the entries do not yield the root")
	}
}

func TestExportRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sealed(t, 3)
		other := t.TempDir()
		must(t, os.WriteFile(filepath.Join(other, "letter.txt"), nil, 0o600))
		wantErr(t, audit.Export(t.Context(), w.db, w.a, other), audit.ErrOtherLog)
		dir := filepath.Join(t.TempDir(), "export")
		must(t, audit.Export(t.Context(), w.db, [16]byte{}, dir)) // the platform's
		wantErr(t, audit.Export(t.Context(), w.db, w.a, dir), audit.ErrOtherLog)
		w.raw(t, `UPDATE art32.events SET actor = 'x' WHERE leaf = 1 AND tenant_id = TENANT`)
		fresh := filepath.Join(t.TempDir(), "fresh")
		wantErr(t, audit.Export(t.Context(), w.db, w.a, fresh), audit.ErrDamaged)
		if left, err := os.ReadDir(filepath.Dir(fresh)); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}
