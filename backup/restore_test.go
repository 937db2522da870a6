package backup_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

func TestABackupIsRestoredElsewhere(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	a, b := w.everybody(t, w.a), w.everybody(t, w.b)
	m := w.run(t)
	w.add(t, w.a, 1) // after the backup

	res, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	must(t, err)
	if res.Tenants != 2 || res.Rows == 0 || res.Erased != 0 || !res.SignerGiven {
		t.Errorf("result: %+v", res)
	}
	r := w.elsewhere(t, dir)
	if diff := cmp.Diff(a, r.everybody(t, w.a)); diff != "" {
		t.Errorf("tenant a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(b, r.everybody(t, w.b)); diff != "" {
		t.Errorf("tenant b (-want +got):\n%s", diff)
	}
	for _, id := range []tenancy.ID{w.a, w.b} {
		file := filepath.Join(dir, "tenants", id.String()+".db")
		if diff := cmp.Diff([]string{"held by restore"}, rows(t, file, "SELECT DISTINCT last_error FROM art32_outbox WHERE dead_at IS NOT NULL")); diff != "" {
			t.Errorf("messages that waited: %s", diff)
		}
		if n := rows(t, file, "SELECT id FROM art32_outbox WHERE dead_at IS NULL"); len(n) > 0 {
			t.Errorf("messages would be sent a second time: %v", n)
		}
	}
	r.add(t, w.a, 1) // the restored service works on
	if n := len(r.everybody(t, w.a)); n != 6 {
		t.Errorf("%d customers after one more, want 6", n)
	}
	if _, err := r.job.Run(t.Context()); err != nil {
		t.Errorf("a backup of the restored service: %v", err)
	}
}

func TestTheErasedStayErased(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 3)
	before, during := people[0], people[1]
	must(t, w.db.Erase(in(t.Context(), w.a), before.ID))
	seal(t, w)
	m := w.run(t)
	must(t, w.db.Erase(in(t.Context(), w.a), during.ID))

	res, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	must(t, err)
	if res.Erased != 1 || res.Ledger.Entries != 2 {
		t.Errorf("%d erasures repeated of %d, want 1 of 2: the other was finished before", res.Erased, res.Ledger.Entries)
	}
	r := w.elsewhere(t, dir)
	ctx := in(t.Context(), w.a)
	for _, c := range []*customer{before, during} {
		got, err := customers.Get(ctx, r.db, c.ID)
		must(t, err)
		_, err = got.Email.Reveal()
		wantErr(t, err, field.ErrErased)
		if got.City != "" {
			t.Errorf("the personal column is %q", got.City)
		}
	}
	for c, err := range customers.List(ctx, r.db, customerEmail.Eq("1."+emailCanary)) {
		must(t, err)
		if c.ID == during.ID {
			t.Error("the blind index still finds the person")
		}
	}
	if c, err := customers.Get(ctx, r.db, people[2].ID); err != nil {
		t.Error(err)
	} else if mail, err := c.Email.Reveal(); err != nil || mail == "" {
		t.Errorf("a person who was not erased: %q, %v", mail, err)
	}
	seal(t, r)
	for _, id := range []tenancy.ID{w.a, w.b, {}} {
		rep, err := audit.Verify(t.Context(), r.db, id, nil)
		must(t, err)
		if !rep.OK() {
			t.Errorf("log of tenant %v: %+v", id, rep.Findings)
		}
	}
	if !slices.Contains(actions(t, r, audit.Filter{Platform: true}), "backup.restored") {
		t.Error("the platform's log does not show the restore")
	}
	if n := count(actions(t, r, audit.Filter{}), "audit.erase"); n != 2 {
		t.Errorf("the tenant's log shows %d erasures, want 2", n)
	}
	if n, err := backup.Missed(t.Context(), r.db, r.keys, r.store, r.vaults...); n != 0 || err != nil {
		t.Errorf("Missed after a restore: %d, %v; want none", n, err)
	}
	if n, err := backup.Replay(t.Context(), r.db, r.keys, r.store, r.vaults...); n != 0 || err != nil {
		t.Errorf("Replay once more: %d, %v; want nothing to do", n, err)
	}
}

func seal(tb testing.TB, w *world) {
	tb.Helper()
	s, err := audit.NewSealer(w.log, w.db, nil)
	must(tb, err)
	_, err = s.SealDue(tb.Context())
	must(tb, err)
}

func actions(tb testing.TB, w *world, f audit.Filter) (all []string) {
	tb.Helper()
	ctx := tb.Context()
	if !f.Platform {
		ctx = in(ctx, w.a)
	}
	for e, err := range w.log.Events(ctx, w.db, f) {
		must(tb, err)
		all = append(all, e.Action)
	}
	return all
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// A person whose key was made and whose row was not is in the keystore alone.
func TestErasedInTheKeystoreAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ghost := uuidOf("5f0c7d0a-9f0e-4b7f-9d53-6f4f9f3a4c11")
	_, err := w.keys.CreateCipher(t.Context(), w.a.UUID(), ghost)
	must(t, err)
	m := w.run(t)
	must(t, w.db.Erase(in(t.Context(), w.a), ghost))
	res, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	must(t, err)
	if res.Erased != 1 {
		t.Errorf("%d erasures repeated, want 1", res.Erased)
	}
	r := w.elsewhere(t, dir)
	_, err = r.keys.Cipher(t.Context(), w.a.UUID(), ghost)
	wantErr(t, err, keyring.ErrErased)
}

// A tenant that had no file yet when the backup was made, and an erasure later:
// the application's tables must be there to look for the person.
func TestATenantWithoutAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fresh, err := w.db.CreateTenant(asService(t.Context()), tenancy.Tenant{Name: tenantName})
	must(t, err)
	m := w.run(t)
	c := &customer{Email: field.New(emailCanary), City: cityCanary}
	must(t, customers.Insert(in(t.Context(), fresh.ID), w.db, c))
	must(t, w.db.Erase(in(t.Context(), fresh.ID), c.ID))

	_, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	if err == nil {
		t.Error("restored although an erasure could not be repeated")
	} else if !strings.Contains(err.Error(), "migrations") {
		t.Errorf("the error does not say what to do: %v", err)
	}
	nothingAt(t, dir)

	dir = filepath.Join(w.root, "restored")
	into := sqlitesource.Into(dir, &sqlitesource.IntoOptions{Migrations: migrations})
	res, err := backup.Restore(t.Context(), w.to, m.Run, into, w.restoreOptions(t))
	must(t, err)
	if res.Tenants != 3 || res.Erased != 0 {
		t.Errorf("result: %+v", res)
	}
	if r := w.elsewhere(t, dir); len(r.everybody(t, fresh.ID)) != 0 {
		t.Error("the tenant has rows")
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	two := []string{m.Parts[1].Name, m.Parts[2].Name}
	other, err := age.GenerateX25519Identity()
	must(t, err)
	foreign := layOut(t, t.TempDir())
	must(t, foreign.tryOpen(t))
	t.Cleanup(foreign.close)

	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world, o *backup.RestoreOptions)
		want  error
	}{
		"nothing":                 {func(*testing.T, *world, *backup.RestoreOptions) {}, nil},
		"one surviving folder":    {func(_ *testing.T, w *world, o *backup.RestoreOptions) { o.Vault = w.vaults[1:] }, nil},
		"the other recipient":     {func(_ *testing.T, w *world, o *backup.RestoreOptions) { o.Identities = []age.Identity{w.ops[1]} }, nil},
		"tampered tenant's part":  {changing(m, two[0], flip), backup.ErrDamaged},
		"tampered shared part":    {changing(m, "shared.tar.zst.age", flip), backup.ErrDamaged},
		"cut part":                {changing(m, two[0], cut), backup.ErrDamaged},
		"longer part":             {changing(m, two[0], func(b []byte) []byte { return append(b, 0) }), backup.ErrDamaged},
		"missing part":            {removing(m, two[1]), backup.ErrDamaged},
		"swapped parts":           {swapping(m, two), backup.ErrDamaged},
		"tampered instructions":   {changing(m, "RESTORE.md", flip), backup.ErrDamaged},
		"missing script":          {removing(m, "restore.sh"), backup.ErrDamaged},
		"tampered manifest":       {changing(m, "MANIFEST.json", flip), backup.ErrSignature},
		"longer manifest":         {changing(m, "MANIFEST.json", func(b []byte) []byte { return append(b, '\n') }), backup.ErrSignature},
		"missing manifest":        {removing(m, "MANIFEST.json"), backup.ErrDamaged},
		"missing signature":       {removing(m, "MANIFEST.json.sig"), backup.ErrNotCommitted},
		"tampered signature":      {changing(m, "MANIFEST.json.sig", flip), backup.ErrSignature},
		"another key's signature": {func(t *testing.T, w *world, _ *backup.RestoreOptions) { forge(t, w, m, foreign.job) }, backup.ErrSignature},
		"another signer expected": {func(_ *testing.T, _ *world, o *backup.RestoreOptions) { o.Signer = foreign.job.Signer() }, backup.ErrSignature},
		"a run that never was":    {func(t *testing.T, w *world, _ *backup.RestoreOptions) { must(t, os.RemoveAll(w.path(m.Run))) }, backup.ErrNotCommitted},
		"wrong identity":          {func(_ *testing.T, _ *world, o *backup.RestoreOptions) { o.Identities = []age.Identity{other} }, backup.ErrIdentity},
		"missing folder": {func(_ *testing.T, w *world, o *backup.RestoreOptions) {
			o.Vault = []string{w.vaults[0], w.root + "/none"}
		}, backup.ErrVault},
		"empty folder": {func(t *testing.T, _ *world, o *backup.RestoreOptions) {
			o.Vault = []string{t.TempDir()}
			must(t, os.Chmod(o.Vault[0], 0o700))
		}, backup.ErrDamaged},
		"tampered keystore copies": {func(t *testing.T, w *world, _ *backup.RestoreOptions) { w.spoilVault(t, m.Keystore.Name, flip) }, backup.ErrDamaged},
		"one tampered keystore": {func(t *testing.T, w *world, _ *backup.RestoreOptions) {
			spoil(t, filepath.Join(w.vaults[0], m.Keystore.Name), flip)
		}, nil},
		"swapped identities": {func(t *testing.T, w *world, _ *backup.RestoreOptions) {
			for _, dir := range w.vaults {
				swap(t, filepath.Join(dir, "tenants", w.vault.Pseudonym(w.a)+".identity.age"), filepath.Join(dir, "tenants", w.vault.Pseudonym(w.b)+".identity.age"))
			}
		}, backup.ErrVault},
		"another root": {func(t *testing.T, _ *world, o *backup.RestoreOptions) { o.Root = foreign.rootKey(t) }, keyring.ErrRoot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			o := s.restoreOptions(t)
			c.spoil(t, s, o)
			_, dir, err := s.restore(t, m.Run, o)
			if c.want == nil {
				must(t, err)
				return
			}
			wantErr(t, err, c.want)
			nothingAt(t, dir)
		})
	}
}

// spoiled is a copy of target and vault, to be spoiled.
func (w *world) spoiled(t *testing.T) *world {
	t.Helper()
	s := *w
	s.root, s.target = t.TempDir(), copyDir(t, w.target)
	must(t, os.Link(filepath.Join(w.root, "root.key"), filepath.Join(s.root, "root.key")))
	s.vaults = []string{copyDir(t, w.vaults[0]), copyDir(t, w.vaults[1])}
	var err error
	s.to, err = openTarget(s.target)
	must(t, err)
	t.Cleanup(func() { _ = s.to.Close() })
	return &s
}

// nothingAt fails if a restore that failed left anything.
func nothingAt(t *testing.T, dir string) {
	t.Helper()
	for _, path := range []string{dir, dir + ".restoring"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}

type spoiler = func(t *testing.T, w *world, o *backup.RestoreOptions)

func changing(m *backup.Manifest, name string, how func([]byte) []byte) spoiler {
	return func(t *testing.T, w *world, _ *backup.RestoreOptions) { spoil(t, w.path(m.Run+"/"+name), how) }
}

func removing(m *backup.Manifest, name string) spoiler {
	return func(t *testing.T, w *world, _ *backup.RestoreOptions) { must(t, os.Remove(w.path(m.Run+"/"+name))) }
}

func swapping(m *backup.Manifest, names []string) spoiler {
	return func(t *testing.T, w *world, _ *backup.RestoreOptions) {
		swap(t, w.path(m.Run+"/"+names[0]), w.path(m.Run+"/"+names[1]))
	}
}

func swap(t *testing.T, a, b string) {
	t.Helper()
	must(t, os.Rename(a, a+".x"))
	must(t, os.Rename(b, a))
	must(t, os.Rename(a+".x", b))
}

func (w *world) spoilVault(t *testing.T, name string, how func([]byte) []byte) {
	t.Helper()
	for _, dir := range w.vaults {
		spoil(t, filepath.Join(dir, name), how)
	}
}

func spoil(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, how(b), 0o600))
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)*2/3] ^= 1
	return b
}

func cut(b []byte) []byte { return b[:len(b)-1] }

// forge lets another machine sign the manifest, in its own name.
func forge(t *testing.T, w *world, m *backup.Manifest, by *backup.Job) {
	t.Helper()
	path := w.path(m.Run + "/MANIFEST.json")
	text, err := os.ReadFile(path)
	must(t, err)
	text = []byte(strings.Replace(string(text), w.job.Signer(), by.Signer(), 1))
	sig, err := by.Resign(t.Context(), text)
	must(t, err)
	must(t, os.WriteFile(path, text, 0o600))
	must(t, os.WriteFile(path+".sig", sig, 0o600))
	if _, err := backup.Verify(t.Context(), w.to, m.Run, nil); err != nil {
		t.Errorf("without a signer from outside the forgery is not seen: %v", err)
	}
}

func TestRestoreIntoAPlaceThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	for name, prepare := range map[string]func(dir string) (there string){
		"the place in use": func(string) string { return w.data },
		"a file": func(dir string) string {
			must(t, os.Mkdir(dir, 0o700))
			must(t, os.WriteFile(dir+"/x", nil, 0o600))
			return dir
		},
		"a foreign draft": func(dir string) string { must(t, os.MkdirAll(dir+".restoring/x", 0o700)); return dir },
	} {
		dir := prepare(filepath.Join(w.root, strings.ReplaceAll(name, " ", "-")))
		before := readAll(t, w.root)
		_, err := backup.Restore(t.Context(), w.to, m.Run, sqlitesource.Into(dir, nil), w.restoreOptions(t))
		wantErr(t, err, backup.ErrNotEmpty)
		if !bytes.Equal(before, readAll(t, w.root)) {
			t.Errorf("%s: something changed", name)
		}
	}
	empty := filepath.Join(w.root, "empty")
	must(t, os.Mkdir(empty, 0o700))
	_, err := backup.Restore(t.Context(), w.to, m.Run, sqlitesource.Into(empty, nil), w.restoreOptions(t))
	must(t, err)
}

func TestAnOldLedgerEndsTheRestore(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 2)
	must(t, w.db.Erase(in(t.Context(), w.a), people[0].ID))
	must(t, w.db.Erase(in(t.Context(), w.a), people[1].ID))
	m := w.run(t)
	for name, how := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] },
		"emptied": func([]byte) []byte { return nil },
		"edited":  func(b []byte) []byte { return bytes.Replace(b, []byte(`"n":1`), []byte(`"n":7`), 1) },
		"another": func(b []byte) []byte {
			return append(bytes.Replace(b[:bytes.IndexByte(b, '\n')], []byte(`"subject":"`), []byte(`"subject":"0`), 1), '\n')
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			s.spoilVault(t, "erasures.jsonl", how)
			o := s.restoreOptions(t)
			_, dir, err := s.restore(t, m.Run, o)
			wantErr(t, err, backup.ErrLedger)
			nothingAt(t, dir)
			o.UnsafeWithoutLedger = "fire in the building that held the vault"
			res, _, err := s.restore(t, m.Run, o)
			must(t, err)
			if res.WithoutLedger != o.UnsafeWithoutLedger {
				t.Errorf("the result does not repeat the reason: %+v", res)
			}
		})
	}
	s := w.spoiled(t)
	spoil(t, filepath.Join(s.vaults[0], "erasures.jsonl"), func([]byte) []byte { return nil })
	if _, _, err := s.restore(t, m.Run, s.restoreOptions(t)); err != nil {
		t.Errorf("one old copy beside a whole one: %v", err)
	}
}

func TestForgottenTenant(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	c := w.add(t, w.a, 1)[0]
	m := w.run(t)
	must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	must(t, w.vault.Forget(t.Context(), w.a))
	must(t, w.vault.Forget(t.Context(), w.a))
	res, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	must(t, err)
	if res.Tenants != 1 || len(res.Forgotten) != 1 {
		t.Errorf("result: %+v", res)
	}
	if _, err := os.Lstat(filepath.Join(dir, "tenants", w.a.String()+".db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tenant's file: %v", err)
	}
	r := w.elsewhere(t, dir)
	if len(r.everybody(t, w.b)) != 2 {
		t.Error("the other tenant is not whole")
	}
	_, err = customers.Count(in(t.Context(), w.a), r.db)
	wantErr(t, err, tenancy.ErrUnknownTenant)
	_, err = r.keys.Cipher(t.Context(), w.a.UUID(), c.ID)
	wantErr(t, err, keyring.ErrErased)

	next := w.run(t) // without the tenant, and it says so
	if len(next.Parts) != 2 || !slices.ContainsFunc(next.Excluded, func(e backup.Excluded) bool { return strings.HasSuffix(e.Table, w.vault.Pseudonym(w.a)) }) {
		t.Errorf("parts %v, excluded %v", next.Parts, next.Excluded)
	}
}

// meddled is a destination into which somebody reaches while it is filled.
type meddled struct {
	backup.Destination

	keystore func(r io.Reader) io.Reader
	loaded   func()
}

func (m *meddled) Keystore(ctx context.Context, name string, size int64, r io.Reader) error {
	if m.keystore == nil {
		return m.Destination.Keystore(ctx, name, size, r)
	}
	b, err := io.ReadAll(m.keystore(r))
	if err != nil {
		return err
	}
	return m.Destination.Keystore(ctx, name, int64(len(b)), bytes.NewReader(b))
}

func (m *meddled) Loaded(ctx context.Context) (map[tenancy.ID][]backup.Table, error) {
	if m.loaded != nil {
		m.loaded()
	}
	return m.Destination.Loaded(ctx)
}

func TestWhatWasLoadedIsCompared(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	for name, text := range map[string]string{
		"a lost row":     "DELETE FROM customers WHERE rowid = (SELECT max(rowid) FROM customers)",
		"a changed row":  "UPDATE customers SET plan = 'other' WHERE rowid = (SELECT max(rowid) FROM customers)",
		"a row of NULLs": "UPDATE customers SET email_bidx = NULL WHERE rowid = (SELECT max(rowid) FROM customers)",
		"another type":   "UPDATE customers SET email = CAST(hex(email) AS TEXT) WHERE rowid = (SELECT max(rowid) FROM customers)",
		"a doubled row":  "INSERT INTO customers SELECT 'x' || id, tenant_id, email, email_bidx, city, plan FROM customers LIMIT 1",
		"a lost table":   "DROP TABLE customers",
		"a table more":   "CREATE TABLE zzz (a)",
	} {
		dir := filepath.Join(w.root, strings.ReplaceAll(name, " ", "-"))
		into := &meddled{Destination: sqlitesource.Into(dir, nil), loaded: func() {
			db, err := sql.Open("sqlite", filepath.Join(dir+".restoring", "tenants", w.a.String()+".db"))
			must(t, err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), text)
			must(t, err)
		}}
		_, err := backup.Restore(t.Context(), w.to, m.Run, into, w.restoreOptions(t))
		if err == nil {
			t.Errorf("%s: not noticed", name)
			continue
		}
		wantErr(t, err, backup.ErrDamaged)
		nothingAt(t, dir)
	}
}

// With another keystore of the same root nobody would be found in the ledger.
func TestAnotherKeystore(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	other := filepath.Join(w.root, "other")
	store, err := sqlite.OpenKeystore(t.Context(), other)
	must(t, err)
	keys, err := keyring.New(w.rootKey(t), store, nil)
	must(t, err)
	for _, id := range []tenancy.ID{w.a, w.b, {}} {
		must(t, keys.CreateTenant(t.Context(), id.UUID()))
	}
	must(t, store.Close())
	b, err := os.ReadFile(filepath.Join(other, "keystore.db"))
	must(t, err)
	dir := filepath.Join(w.root, "restored")
	into := &meddled{Destination: sqlitesource.Into(dir, nil), keystore: func(r io.Reader) io.Reader {
		_, err := io.Copy(io.Discard, r)
		must(t, err)
		return bytes.NewReader(b)
	}}
	_, err = backup.Restore(t.Context(), w.to, m.Run, into, w.restoreOptions(t))
	wantErr(t, err, backup.ErrDamaged)
	nothingAt(t, dir)
}

// The keystore has a directory of its own; both appear together.
func TestKeystoreElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.run(t)
	dir, keys := filepath.Join(w.root, "restored"), filepath.Join(w.root, "restored-keys")
	must(t, os.MkdirAll(keys+".restoring/x", 0o700))
	into := func() backup.Destination { return sqlitesource.Into(dir, &sqlitesource.IntoOptions{Keystore: keys}) }
	_, err := backup.Restore(t.Context(), w.to, m.Run, into(), w.restoreOptions(t))
	wantErr(t, err, backup.ErrNotEmpty)
	nothingAt(t, dir)
	must(t, os.RemoveAll(keys+".restoring"))
	_, err = backup.Restore(t.Context(), w.to, m.Run, into(), w.restoreOptions(t))
	must(t, err)
	for path, want := range map[string][]string{dir: {"platform.db", "tenants"}, keys: {"keystore.db"}} {
		entries, err := os.ReadDir(path)
		must(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

// An erasure that the backup caught between its key and its rows is finished.
func TestAnErasureThatWasUnderWay(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	c := w.add(t, w.a, 1)[0]
	must(t, w.vault.Ledger().Erased(t.Context(), w.a, c.ID))
	must(t, w.keys.Shred(t.Context(), w.a.UUID(), c.ID))
	m := w.run(t)
	res, dir, err := w.restore(t, m.Run, w.restoreOptions(t))
	must(t, err)
	got, err := customers.Get(in(t.Context(), w.a), w.elsewhere(t, dir).db, c.ID)
	must(t, err)
	if res.Erased != 1 || got.City != "" {
		t.Errorf("%d erasures repeated, the personal column is %q", res.Erased, got.City)
	}
}
