package audit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
)

func leafHashes(n int) []tlog.Hash {
	all := make([]tlog.Hash, n)
	for i := range all {
		all[i] = tlog.RecordHash(binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	return all
}

// reference computes roots the way package tlog does, from all hashes.
func reference(t *testing.T, leaves []tlog.Hash) (tlog.Hash, tlog.HashReader) {
	t.Helper()
	var stored []tlog.Hash
	r := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, h := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), h, r)
		must(t, err)
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), r)
	must(t, err)
	return root, r
}

// In whatever batches a tree has grown, its root and its tiles are the same.
func TestTreeGrowsAsTlog(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	for _, size := range []int{1, 2, 255, 256, 257, 511, 512, 513, 70_000} {
		leaves := leafHashes(size)
		var tree audit.TestTree
		for rest := leaves; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(1+size/5))
			must(t, tree.Grow(rest[:n]))
			rest = rest[n:]
		}
		root, r := reference(t, leaves)
		if tree.Root != root || audit.FoldRoot(leaves) != root {
			t.Errorf("size %d: roots differ", size)
		}
		for _, tile := range tlog.NewTiles(8, 0, int64(size)) {
			want, err := tlog.ReadTileData(tile, r)
			must(t, err)
			tile.W = 256
			if got := tree.Tiles["tile/"+tile.Path()[len("tile/8/"):]]; !bytes.Equal(got, want) {
				t.Errorf("size %d: %s differs", size, tile.Path())
			}
		}
	}
}

// No signature is given to a continuation of damaged tiles.
func TestTreeRefusesDamagedEdge(t *testing.T) {
	t.Parallel()
	var tree audit.TestTree
	must(t, tree.Grow(leafHashes(300)))
	tree.Damage()
	if err := tree.Grow(leafHashes(1)); err == nil {
		t.Error("grew from damaged tiles")
	}
}

func TestParseCheckpoint(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	vkey, sign, err := audit.NewTestSigner("art32.audit/x", bytes.Repeat([]byte{1}, 32))
	must(t, err)
	other, signOther, err := audit.NewTestSigner("art32.audit/x", bytes.Repeat([]byte{2}, 32))
	must(t, err)
	good, err := sign(7, tlog.Hash{9})
	must(t, err)
	c, err := audit.ParseCheckpoint(good, vkey+"\n")
	must(t, err)
	if c.Origin != "art32.audit/x" || c.Size != 7 || c.Root != (tlog.Hash{9}) {
		t.Errorf("got %+v", c)
	}
	forged, err := signOther(7, tlog.Hash{9})
	must(t, err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := audit.ParseCheckpoint(bad, vkey); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("byte %d changed: got %v", i, err)
		}
	}
	for name, try := range map[string]struct {
		note []byte
		key  string
	}{
		"another key": {good, other}, "forged": {forged, vkey}, "empty": {nil, vkey}, "no key": {good, ""},
		"huge": {bytes.Repeat([]byte("x\n"), 1<<16), vkey},
	} {
		if _, err := audit.ParseCheckpoint(try.note, try.key); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	vkey, sign, err := audit.NewTestSigner("art32.audit/x", bytes.Repeat([]byte{1}, 32))
	must(f, err)
	good, err := sign(7, tlog.Hash{9})
	must(f, err)
	f.Add(good, vkey)
	f.Add([]byte("a\n1\nAAAA\n\n— a AAAA\n"), vkey)
	f.Fuzz(func(t *testing.T, note []byte, key string) {
		c, err := audit.ParseCheckpoint(note, key)
		if err == nil && key == vkey && (c.Size != 7 || c.Root != tlog.Hash{9}) {
			t.Fatalf("forged: %+v", c)
		}
	})
}
