package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// restore.sh unpacks nothing of what it must refuse, and leaves nothing where it
// is ended.
func TestRestoreScript(t *testing.T) {
	t.Parallel()
	s := newService(t, "sqlite")
	m, err := s.job.Run(t.Context())
	must(t, err)
	run := filepath.Join(s.root, "target", m.Run)
	t.Run("refuses", func(t *testing.T) { s.refusals(t, run) })
	t.Run("ends", func(t *testing.T) { s.interrupted(t, run) })
}

// interrupted ends restore.sh, as Ctrl-C does, at each program that it calls
// while a tenant's identity lies in clear: it must not stay.
func (s *service) interrupted(t *testing.T, run string) {
	t.Helper()
	for _, signal := range []string{"INT", "TERM", "HUP"} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-7.3")
			bin, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
			tar := "#!/bin/sh\ncase \"$*\" in *tenants*) [ -s " + out + "/.work/identity ] && touch " + bin + "/seen; kill -" + signal + " $PPID;; esac\n"
			must(t, os.WriteFile(filepath.Join(bin, "tar"), []byte(tar), 0o700))
			cmd := s.command(t, run, fmt.Sprintf("exec sh ./restore.sh %s %s %s/operator.txt %s/signer.pub %s", run, s.vaults[0], s.root, s.root, out))
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+s.path)
			if said, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("it went on:\n%s", said)
			}
			if _, err := os.Lstat(filepath.Join(bin, "seen")); err != nil {
				t.Error("no identity lay there when it ended")
			}
			if _, err := os.Lstat(filepath.Join(out, ".work")); err == nil {
				t.Error("its work is left, and with it an identity in clear")
			}
		})
	}
}

// restore.sh believes a tombstone if the signer signed it, for that tenant.
func TestTombstonesByHand(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	s := newService(t, "sqlite")
	m, err := s.job.Run(t.Context())
	must(t, err)
	run := filepath.Join(s.root, "target", m.Run)
	name := strings.TrimSuffix(filepath.Base(m.Parts[1].Name), ".tar.zst.age")
	script := func(vault string) (string, error) {
		out := filepath.Join(t.TempDir(), "out")
		said, err := s.command(t, run, fmt.Sprintf("sh ./restore.sh . %s %s/operator.txt %s/signer.pub %s", vault, s.root, s.root, out)).CombinedOutput()
		return string(said), err
	}
	forged := filepath.Join(t.TempDir(), "vault")
	must(t, os.CopyFS(forged, os.DirFS(s.vaults[0])))
	must(t, os.WriteFile(filepath.Join(forged, "tenants", name+".forgotten"), []byte(`{"tenant":"`+name+`"}`), 0o600))
	if said, err := script(forged); err == nil || !strings.Contains(said, "not signed") {
		t.Errorf("without a signature: %v\n%s", err, said)
	}
	for _, id := range s.tenants {
		must(t, s.vault.Forget(t.Context(), id))
	}
	if said, err := script(s.vaults[0]); err != nil || strings.Count(said, "given up for ever") != len(s.tenants) {
		t.Errorf("%v\n%s", err, said)
	}
	other := strings.TrimSuffix(filepath.Base(m.Parts[2].Name), ".tar.zst.age")
	for _, end := range []string{".forgotten", ".forgotten.sig"} {
		b, err := os.ReadFile(filepath.Join(s.vaults[0], "tenants", other+end))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(forged, "tenants", name+end), b, 0o600))
	}
	if said, err := script(forged); err == nil || !strings.Contains(said, "that of another") {
		t.Errorf("with another tenant's: %v\n%s", err, said)
	}
}

// refusals are what restore.sh must not unpack.
func (s *service) refusals(t *testing.T, run string) {
	damage := func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(path, b, 0o600))
	}
	for name, c := range map[string]struct {
		spoil    func(t *testing.T, run string)
		identity string
		signer   string
		says     string
	}{
		"damaged part":     {func(t *testing.T, run string) { damage(t, run+"/shared.tar.zst.age") }, "operator.txt", "signer.pub", "damaged"},
		"damaged manifest": {func(t *testing.T, run string) { damage(t, run+"/MANIFEST.json") }, "operator.txt", "signer.pub", "signature"},
		"no signature":     {func(t *testing.T, run string) { must(t, os.Remove(run+"/MANIFEST.json.sig")) }, "operator.txt", "signer.pub", "incomplete"},
		"another signer":   {func(*testing.T, string) {}, "operator.txt", "other.pub", "signature"},
		"another run's name": {func(t *testing.T, run string) {
			must(t, os.Rename(run, run+"x")) // as an older one that lies in the newer one's folder
			must(t, os.Symlink(run+"x", run))
		}, "operator.txt", "signer.pub", "exchanged"},
		"wrong identity": {func(*testing.T, string) {}, "stranger.txt", "signer.pub", "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := filepath.Join(t.TempDir(), filepath.Base(run))
			must(t, os.CopyFS(work, os.DirFS(run)))
			c.spoil(t, work)
			out := filepath.Join(t.TempDir(), "out")
			cmd := s.command(t, run, fmt.Sprintf("sh ./restore.sh %s %s %s/%s %s/%s %s", work, s.vaults[0], s.root, c.identity, s.root, c.signer, out))
			said, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(said), c.says) {
				t.Errorf("err %v, said:\n%s", err, said)
			}
			if left, _ := filepath.Glob(out + "/*/*"); len(left) > 0 {
				t.Errorf("unpacked: %v", left)
			}
		})
	}
}
