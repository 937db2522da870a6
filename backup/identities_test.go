package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/art32/art32/backup"
)

// A backup of which no folder of the vault holds what opens a tenant's part is
// found without a key, and the error names each tenant concerned and the mend.
func TestVerifyMissesIdentities(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	committed, _ := w.list(t)
	a, b := w.vault.Pseudonym(w.a), w.vault.Pseudonym(w.b)
	both, first := []string{a, b}, []string{a}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		lost  []string
	}{
		"no folder of tenants": {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/tenants")) }, both},
		"identities exchanged": {func(t *testing.T, dir string) {
			one, other := dir+"/tenants/"+a+".identity.age", dir+"/tenants/"+b+".identity.age"
			must(t, os.Rename(one, one+".x"))
			must(t, os.Rename(other, one))
			must(t, os.Rename(one+".x", other))
		}, both},
		"tenants exchanged": {func(t *testing.T, dir string) {
			for _, end := range []string{".identity.age", ".json", ".json.sig"} {
				text, err := os.ReadFile(dir + "/tenants/" + b + end)
				must(t, err)
				must(t, os.WriteFile(dir+"/tenants/"+a+end, text, 0o600))
			}
		}, first},
		"a damaged identity": {func(t *testing.T, dir string) { spoil(t, dir+"/tenants/"+a+".identity.age", flip) }, first},
		"no identity":        {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/tenants/"+a+".identity.age")) }, first},
		"another recipient":  {func(t *testing.T, dir string) { spoil(t, dir+"/tenants/"+a+".json", reRecipient(w)) }, first},
		"no signature":       {func(t *testing.T, dir string) { must(t, os.Remove(dir+"/tenants/"+a+".json.sig")) }, first},
		"a made-up tombstone": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/tenants/"+a+".forgotten", []byte("{}\n"), 0o600))
		}, first},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			for _, dir := range s.vaults {
				c.spoil(t, dir)
			}
			rep, err := backup.Verify(t.Context(), s.to, committed[0], &backup.VerifyOptions{Signer: w.job.Signer(), Vault: s.vaults})
			wantErr(t, err, backup.ErrVault)
			for _, name := range both {
				if got, want := strings.Contains(err.Error(), "tenant "+name), name == a || len(c.lost) == 2; got != want {
					t.Errorf("tenant %s is named: %v; want %v: %v", name, got, want, err)
				}
			}
			if !strings.Contains(err.Error(), "lay the files tenants/TENANT.* back") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is no line that says what to do: %v", err)
			}
			if rep.Identities != 2-len(c.lost) || rep.Ledger == nil {
				t.Errorf("report: %+v", rep)
			}
		})
	}
}

// An identity of the same tenant that was made for another vault opens nothing of
// the backup, although it is signed.
func TestVerifyMissesTheIdentityOfTheBackup(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	for _, dir := range w.vaults {
		must(t, os.RemoveAll(filepath.Join(dir, "tenants")))
	}
	other := *w
	other.target = t.TempDir()
	var err error
	other.to, err = openTarget(other.target)
	must(t, err)
	t.Cleanup(func() { _ = other.to.Close() })
	other.job, err = other.newJob(&backup.Options{Target: "b"})
	must(t, err)
	n := other.run(t) // makes them anew
	o := &backup.VerifyOptions{Signer: w.job.Signer(), Vault: w.vaults}
	_, err = backup.Verify(t.Context(), w.to, m.Run, o)
	wantErr(t, err, backup.ErrVault)
	_, err = backup.Verify(t.Context(), other.to, n.Run, o)
	must(t, err)
}

// One folder that has them is enough, as it is for a restore; who was forgotten
// is not missed, and is in the report without an identity too.
func TestVerifyFindsIdentities(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	committed, _ := w.list(t)
	must(t, w.vault.Forget(t.Context(), w.b))
	must(t, os.Remove(w.tenantFile(0, ".identity.age")))
	for _, ids := range [][]age.Identity{nil, {w.ops[0]}} {
		rep, err := backup.Verify(t.Context(), w.to, committed[0], &backup.VerifyOptions{Vault: w.vaults, Identities: ids})
		must(t, err)
		if want := "tenants/" + w.vault.Pseudonym(w.b) + ".tar.zst.age"; rep.Identities != 1 || len(rep.Forgotten) != 1 || rep.Forgotten[0] != want {
			t.Errorf("report: %+v", rep)
		}
	}
}

// A restore that cannot open some tenants is refused as a whole, and names all of
// them at once.
func TestARestoreNamesAllTenantsItCannotOpen(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	c := w.tenant(t)
	w.add(t, c, 1)
	m := w.run(t)
	for _, dir := range w.vaults {
		for _, id := range []string{w.vault.Pseudonym(w.a), w.vault.Pseudonym(c)} {
			must(t, os.Remove(filepath.Join(dir, "tenants", id+".identity.age")))
		}
	}
	_, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	wantErr(t, err, backup.ErrVault)
	nothingAt(t, dir)
	for id, want := range map[[16]byte]bool{w.a: true, w.b: false, c: true} {
		if strings.Contains(err.Error(), "tenant "+w.vault.Pseudonym(id)) != want {
			t.Errorf("the error names a tenant: want %v: %v", want, err)
		}
	}
}
