package backup_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"filippo.io/age"
	"github.com/google/uuid"

	"github.com/art32/art32/backup"
)

func TestOpenVaultRefuses(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := layOut(t, t.TempDir())
	must(t, w.tryOpen(t))
	t.Cleanup(w.close)
	loose := filepath.Join(w.root, "loose")
	must(t, os.Mkdir(loose, 0o700))
	must(t, os.Chmod(loose, 0o750))
	r, a := w.recipients(), w.vaults[0]
	for name, c := range map[string]struct{ recipients, dirs []string }{
		"no recipient":     {nil, w.vaults},
		"one recipient":    {r[:1], w.vaults},
		"one, twice":       {[]string{r[0], r[0]}, w.vaults},
		"no key":           {[]string{r[0], "age1nonsense"}, w.vaults},
		"a secret":         {[]string{r[0], w.ops[1].String()}, w.vaults},
		"no folder":        {r, nil},
		"missing folder":   {r, []string{a, w.root + "/none"}},
		"a file":           {r, []string{a, w.root + "/root.key"}},
		"open to others":   {r, []string{a, loose}},
		"one folder twice": {r, []string{a, a + "/."}},
	} {
		_, err := backup.OpenVault(t.Context(), w.keys, c.recipients, c.dirs...)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantErr(t, err, backup.ErrVault)
	}
	if _, err := backup.OpenVault(t.Context(), nil, r, w.vaults...); err == nil {
		t.Error("accepted without keys")
	}
}

// What the mend of a folder says can be given to a shell as it stands, whatever
// the folder is called, and acts on no terminal.
func TestMendsAreQuotedForAShell(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := layOut(t, t.TempDir())
	must(t, w.tryOpen(t))
	t.Cleanup(w.close)
	for _, name := range []string{"two words", "it's; $(touch executed) `touch executed`", "a\x1b[2J\n$(touch executed)'"} {
		dir := filepath.Join(w.root, name)
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Chmod(dir, 0o750))
		_, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults[0], dir)
		wantErr(t, err, backup.ErrVault)
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the error holds what a terminal acts on: %q", err)
		}
		_, mend, _ := strings.Cut(err.Error(), "to other users: ")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", mend)
		cmd.Dir = w.root
		err = cmd.Run()
		st, statErr := os.Stat(dir)
		must(t, statErr)
		if shown := !strings.Contains(name, "\n"); shown != (err == nil) || shown != (st.Mode().Perm() == 0o700) {
			t.Errorf("%q leaves mode %v: %v", mend, st.Mode(), err)
		}
		if _, err := os.Stat(filepath.Join(w.root, "executed")); err == nil {
			t.Fatalf("%q executes the name of the folder", mend)
		}
	}
}

// filled is a world with a run, two tenants in the vault and two entries in the
// ledger.
func filled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, c := range w.add(t, w.a, 2) {
		must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	}
	w.run(t)
	return w
}

func TestVaultComparesItsFolders(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	a := w.vault.Pseudonym(w.a)
	committed, _ := w.list(t)
	note := "/keystores/" + committed[0] + ".json"
	remove := func(names ...string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				must(t, os.Remove(dir+name))
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  error // nil: mended
	}{
		"nothing":        {func(*testing.T, string) {}, nil},
		"the last entry": {ledger(lines(1)), nil},
		"a torn entry":   {ledger(func(b []byte) []byte { return b[:len(b)-10] }), nil},
		"two entries":    {ledger(lines(0)), backup.ErrVault},
		"no ledger":      {remove("/erasures.jsonl"), backup.ErrVault},
		"another entry": {ledger(func(b []byte) []byte {
			return append(b[:bytes.IndexByte(b, '\n')+1], bytes.Replace(b[bytes.IndexByte(b, '\n')+1:], []byte(`"at":"2`), []byte(`"at":"3`), 1)...)
		}), backup.ErrLedger},
		"an edited entry":    {ledger(flip), backup.ErrLedger},
		"one record":         {remove("/tenants/" + a + ".json"), nil},
		"a draft":            {func(t *testing.T, dir string) { must(t, os.WriteFile(dir+"/tenants/.new-x", nil, 0o600)) }, nil},
		"both records":       {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir+"/tenants")) }, backup.ErrVault},
		"another recipient":  {func(t *testing.T, dir string) { spoil(t, dir+"/tenants/"+a+".json", reRecipient(w)) }, backup.ErrVault},
		"a damaged identity": {func(t *testing.T, dir string) { spoil(t, dir+"/tenants/"+a+".identity.age", flip) }, backup.ErrVault},
		"no identity":        {remove("/tenants/" + a + ".identity.age"), backup.ErrVault},
		"a note":             {remove(note), nil},
		"note and signature": {remove(note, note+".sig"), nil},
		"its signature":      {remove(note + ".sig"), backup.ErrVault},
		"another note":       {func(t *testing.T, dir string) { spoil(t, dir+note, flip) }, backup.ErrVault},
		"a signature": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/keystores/20200101T000000Z-00000000.json.sig", nil, 0o600))
		}, nil},
		"a signature of a tombstone": {func(t *testing.T, dir string) {
			must(t, os.WriteFile(dir+"/tenants/"+a+".forgotten.sig", nil, 0o600))
		}, nil},
		"an empty folder": {func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)); must(t, os.Mkdir(dir, 0o700)) }, backup.ErrVault},
	} {
		for _, which := range []int{0, 1} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := w.spoiled(t)
				c.spoil(t, s.vaults[which])
				v, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
				if c.want != nil {
					if err == nil {
						t.Fatal("accepted")
					}
					wantErr(t, err, c.want)
					return
				}
				must(t, err)
				if n := v.Ledger().State().Entries; n != 2 {
					t.Errorf("%d entries, want 2", n)
				}
				equalFolders(t, s.vaults)
			})
		}
	}
}

// Another process died since the vault was opened: the next run mends what it
// left, too.
func TestARunMendsTheFolders(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := filled(t)
	committed, _ := w.list(t)
	must(t, os.Remove(w.inVault(1, "keystores/"+committed[0]+".json")))
	must(t, os.Remove(w.tenantFile(1, ".json")))
	must(t, os.WriteFile(w.inVault(0, "keystores/20200101T000000Z-00000000.json.sig"), nil, 0o600))
	w.run(t)
	equalFolders(t, w.vaults)
}

func equalFolders(t *testing.T, dirs []string) {
	t.Helper()
	for _, name := range []string{"tenants", "keystores"} {
		if !bytes.Equal(readAll(t, filepath.Join(dirs[0], name)), readAll(t, filepath.Join(dirs[1], name))) {
			t.Errorf("the folders %s differ", name)
		}
	}
	one, err := os.ReadFile(filepath.Join(dirs[0], "erasures.jsonl"))
	must(t, err)
	other, err := os.ReadFile(filepath.Join(dirs[1], "erasures.jsonl"))
	must(t, err)
	if !bytes.Equal(one, other) {
		t.Error("the ledgers differ")
	}
}

func ledger(how func([]byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) { spoil(t, filepath.Join(dir, "erasures.jsonl"), how) }
}

// lines keeps the first n lines.
func lines(n int) func([]byte) []byte {
	return func(b []byte) []byte { return []byte(strings.Join(strings.SplitAfter(string(b), "\n")[:n], "")) }
}

// reRecipient puts another public key into a record, as somebody would who wants
// to read the next backups.
func reRecipient(w *world) func([]byte) []byte {
	return func(b []byte) []byte {
		i := bytes.Index(b, []byte(`"recipient": "`)) + len(`"recipient": "`)
		return bytes.Replace(b, b[i:i+62], []byte(w.ops[0].Recipient().String()), 1)
	}
}

func TestRecipientSwappedInTheVault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	a, b := w.vault.Pseudonym(w.a), w.vault.Pseudonym(w.b)
	before := readAll(t, w.target)
	w.spoilVault(t, "tenants/"+a+".json", reRecipient(w))
	_, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrSignature)
	_, err = backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults...)
	wantErr(t, err, backup.ErrSignature)

	for _, dir := range w.vaults { // the record of another tenant, signature and all
		for _, end := range []string{".json", ".json.sig", ".identity.age"} {
			text, err := os.ReadFile(filepath.Join(dir, "tenants", b+end))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "tenants", a+end), text, 0o600))
		}
	}
	_, err = w.job.Run(t.Context())
	wantErr(t, err, backup.ErrVault)
	if !bytes.Equal(before, readAll(t, w.target)) {
		t.Error("runs that were refused left something in the target")
	}
}

func TestNoErasureWithoutTheLedger(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	c := w.add(t, w.a, 1)[0]
	must(t, os.Rename(w.vaults[1], w.vaults[1]+".gone"))
	if err := w.db.Erase(in(t.Context(), w.a), c.ID); err == nil {
		t.Fatal("erased although a folder of the vault is gone")
	}
	got, err := customers.Get(in(t.Context(), w.a), w.db, c.ID)
	must(t, err)
	if _, err := got.Email.Reveal(); err != nil {
		t.Errorf("the key is gone: %v", err)
	}
	must(t, os.Rename(w.vaults[1]+".gone", w.vaults[1]))
	must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	if n := w.vault.Ledger().State().Entries; n != 1 {
		t.Errorf("%d entries for one person, want 1", n)
	}
}

// Two processes write one ledger: none forks it, none loses an entry.
func TestLedgerOfTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults[1], w.vaults[0])
	must(t, err)
	const each = 20
	var wg sync.WaitGroup
	for _, v := range []*backup.Vault{w.vault, other} {
		wg.Go(func() {
			for range each {
				if err := v.Ledger().Erased(t.Context(), w.a, uuid.New()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, dir := range w.vaults {
		text, err := os.ReadFile(filepath.Join(dir, "erasures.jsonl"))
		must(t, err)
		state, size, err := backup.ParseChain(text)
		must(t, err)
		if state.Entries != 2*each || size != int64(len(text)) {
			t.Errorf("%s: %+v", dir, state)
		}
	}
}

func TestRunRefusesAnOldLedger(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	for _, dir := range w.vaults {
		must(t, os.Remove(filepath.Join(dir, "erasures.jsonl")))
	}
	_, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrLedger)
}

func TestOldKeystoreCopiesGo(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	var all []*backup.Manifest
	for range 5 {
		all = append(all, w.run(t))
	}
	for i, m := range all {
		for _, dir := range w.vaults {
			_, err := os.Lstat(filepath.Join(dir, m.Keystore.Name))
			if kept := !errors.Is(err, fs.ErrNotExist); kept != (i >= 2) {
				t.Errorf("copy of run %d kept: %v", i, kept)
			}
		}
	}
	_, _, err := w.restore(t, all[0].Run, w.restoreOptions(t))
	wantErr(t, err, backup.ErrDamaged)
	if !strings.Contains(err.Error(), "keystores/") {
		t.Errorf("the error does not say that the keystore's copy is missing: %v", err)
	}
	_, _, err = w.restore(t, all[2].Run, w.restoreOptions(t))
	must(t, err)
}

// Two targets share a vault: each keeps its copies of the keystore.
func TestTwoTargetsShareAVault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	other := *w
	other.target = filepath.Join(w.root, "target-b")
	must(t, os.Mkdir(other.target, 0o700))
	var err error
	other.to, err = openTarget(other.target)
	must(t, err)
	t.Cleanup(func() { _ = other.to.Close() })
	other.job, err = other.newJob(&backup.Options{Target: "b"})
	must(t, err)
	first := other.run(t)
	for range 4 {
		w.run(t)
	}
	_, _, err = other.restore(t, first.Run, other.restoreOptions(t))
	must(t, err)
	if got, _ := filepath.Glob(w.vaults[0] + "/keystores/*.age"); len(got) != 4 {
		t.Errorf("copies of the keystore: %v, want three and one", got)
	}
}

// Tenants whose identities were encrypted to other people are counted, and so
// are runs that another machine signed.
func TestCheckCountsWhatIsOdd(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	w.run(t)
	foreign := newWorld(t)
	m := foreign.run(t)
	must(t, os.CopyFS(w.path(m.Run), os.DirFS(foreign.path(m.Run))))
	must(t, os.MkdirAll(w.path("20200101T000000Z-00000000"), 0o700))
	must(t, os.WriteFile(w.path("20200101T000000Z-00000000/shared.tar.zst.age"), nil, 0o600))
	next, err := age.GenerateX25519Identity()
	must(t, err)
	w.vault, err = backup.OpenVault(t.Context(), w.keys, []string{w.recipients()[0], next.Recipient().String()}, w.vaults...)
	must(t, err)
	job, err := w.newJob(nil)
	must(t, err)
	figures, err := job.Check(t.Context())
	must(t, err)
	got := attrs(figures)
	for key, want := range map[string]int64{"committed": 1, "foreign": 1, "incomplete": 1, "stale_recipients": 2} {
		if got[key] != want {
			t.Errorf("%s = %v, want %d", key, got[key], want)
		}
	}
}

// Recipients that hold against quantum computers, as long as all do.
func TestPostQuantumRecipients(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	ids := make([]*age.HybridIdentity, 2)
	var recipients []string
	for i := range ids {
		var err error
		ids[i], err = age.GenerateHybridIdentity()
		must(t, err)
		recipients = append(recipients, ids[i].Recipient().String())
	}
	_, err := backup.OpenVault(t.Context(), w.keys, []string{recipients[0], w.recipients()[0]}, w.vaults...)
	wantErr(t, err, backup.ErrVault)
	w.vault, err = backup.OpenVault(t.Context(), w.keys, recipients, w.vaults...)
	must(t, err)
	w.job, err = w.newJob(nil)
	must(t, err)
	m := w.run(t)
	o := w.restoreOptions(t)
	o.Identities = []age.Identity{ids[1]}
	_, _, err = w.restore(t, m.Run, o)
	must(t, err)
}
