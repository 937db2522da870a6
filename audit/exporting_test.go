package audit_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
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
		must(t, os.WriteFile(filepath.Join(dir, "0", "tile", "0", "000"), []byte("damaged"), 0o600))
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		checkExport(t, dir)
		wantErr(t, audit.Export(t.Context(), w.db, w.b, dir), audit.ErrNoLog)
	})
}

func checkExport(t *testing.T, dir string) {
	t.Helper()
	file := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, "0", filepath.FromSlash(name)))
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
		longer := filepath.Join(t.TempDir(), "longer")
		w.sealed(t, 2)
		must(t, audit.Export(t.Context(), w.db, w.a, longer))
		w.raw(t, `DELETE FROM art32.checkpoints WHERE size = 5 AND tenant_id = TENANT`)
		wantErr(t, audit.Export(t.Context(), w.db, w.a, longer), audit.ErrOtherLog)
		w.raw(t, `UPDATE art32.events SET actor = 'x' WHERE leaf = 1 AND tenant_id = TENANT`)
		fresh := filepath.Join(t.TempDir(), "fresh")
		wantErr(t, audit.Export(t.Context(), w.db, w.a, fresh), audit.ErrDamaged)
		if left, err := os.ReadDir(filepath.Dir(fresh)); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
}

// Every log of a tenant is exported, with what ties it to the platform's key, on
// top of what an earlier export holds.
func TestExportOfLogs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		dir := filepath.Join(t.TempDir(), "export")
		export := func(want ...string) *audit.ExportReport {
			t.Helper()
			must(t, audit.Export(t.Context(), w.db, w.a, dir))
			r, err := audit.VerifyExport(t.Context(), dir, &audit.ExportOptions{
				Tenant: w.a, PlatformKey: w.platformKey(t, nil), Checkpoints: [][]byte{w.checkpoint(t)},
			})
			must(t, err)
			wantFound(t, r, want...)
			return r
		}
		w.sealed(t, 300)
		early := w.platformKey(t, nil)
		held := w.checkpoint(t)
		export()
		w.renew(t, tenancy.ID{}, rotation)
		w.renew(t, w.a, rotation)
		w.sealed(t, 20)
		r := export()
		db := w.wantOK(t, nil)
		if len(r.Logs) != 2 || r.Logs[1].Origin != db.Origin || string(r.Logs[1].Root) != string(db.Root) || r.Logs[1].First != 300 ||
			r.Checked != 300+db.Size || r.PlatformKey != db.PlatformKey || r.PlatformKey == early {
			t.Errorf("got %+v, of the database %+v", r, db)
		}
		r, err := audit.VerifyExport(t.Context(), dir, &audit.ExportOptions{PlatformKey: early, Checkpoints: [][]byte{held}})
		must(t, err)
		wantFound(t, r)
		platform := filepath.Join(t.TempDir(), "platform")
		must(t, audit.Export(t.Context(), w.db, tenancy.ID{}, platform))
		r, err = audit.VerifyExport(t.Context(), platform, &audit.ExportOptions{PlatformKey: early})
		must(t, err)
		wantFound(t, r)
		if !r.Tenant.IsZero() || len(r.Logs) != 2 || r.PlatformKey != db.PlatformKey {
			t.Errorf("got %+v", r)
		}
	})
}

// Of a log that was dropped an export holds what ties the others to it.
func TestExportOfDroppedLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.aged(t, 20)
		before, dir := filepath.Join(t.TempDir(), "before"), filepath.Join(t.TempDir(), "after")
		must(t, audit.Export(t.Context(), w.db, w.a, before))
		func() {
			defer func() { _ = recover() }()
			r := w.retention(t, nil)
			r.OnStep(func(name string) {
				if name == "page" { // the entries are gone, the log's row does not say so yet
					panic(name)
				}
			})
			_, err := r.RunDue(t.Context())
			t.Errorf("did not stop: %v", err)
		}()
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		_, err := w.retention(t, nil).RunDue(t.Context())
		must(t, err)
		w.seal(t)
		must(t, audit.Export(t.Context(), w.db, w.a, before))
		must(t, audit.Export(t.Context(), w.db, w.a, dir))
		for path, dropped := range map[string]bool{before: false, dir: true} {
			r, err := audit.VerifyExport(t.Context(), path, &audit.ExportOptions{PlatformKey: w.platformKey(t, nil)})
			must(t, err)
			wantFound(t, r)
			if len(r.Logs) < 2 || r.Logs[0].Dropped != dropped {
				t.Errorf("%s: got %+v", path, r)
			}
		}
		files, err := os.ReadDir(filepath.Join(dir, "0"))
		must(t, err)
		if len(files) != 2 {
			t.Errorf("got %v", files)
		}
	})
}
