package backup_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
)

// forgetRun removes what a vault's folders hold of a run.
func (w *world) forgetRun(t *testing.T, run string, folders ...string) {
	t.Helper()
	for _, dir := range folders {
		for _, end := range []string{".tar.zst.age", ".json", ".json.sig"} {
			must(t, os.Remove(filepath.Join(dir, "keystores", run+end)))
		}
	}
}

// A ledger that was long enough for the run that is restored, and is too short
// for what a newer run of the same signer saw, ends the restore, wherever that
// newer run is still told of.
func TestTheLedgerHoldsWhatAnyRunSaw(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 2)
	first := w.run(t)
	for _, c := range people {
		must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	}
	second := w.run(t)
	for name, test := range map[string]struct {
		spoil func(t *testing.T, s *world)
		noted bool // by the vault
	}{
		"in the target": {func(t *testing.T, s *world) { s.forgetRun(t, second.Run, s.vaults...) }, false},
		"in the vault":  {func(t *testing.T, s *world) { must(t, os.RemoveAll(s.path(second.Run))) }, true},
		"in one folder": {func(t *testing.T, s *world) {
			must(t, os.RemoveAll(s.path(second.Run)))
			s.forgetRun(t, second.Run, s.vaults[0])
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			s.spoilVault(t, "erasures.jsonl", lines(0))
			test.spoil(t, s)
			_, err := backup.Verify(t.Context(), s.to, first.Run, &backup.VerifyOptions{Signer: w.job.Signer(), Vault: s.vaults})
			wantErr(t, err, backup.ErrLedger)
			o := s.restoreOptions(t)
			_, dir, err := s.restore(t, first.Run, o)
			wantErr(t, err, backup.ErrLedger)
			nothingAt(t, dir)
			if !strings.Contains(err.Error(), second.Run) {
				t.Errorf("the error does not say which run saw more: %v", err)
			}
			if test.noted {
				_, err = backup.Missed(t.Context(), w.db, w.keys, w.store, s.vaults...)
				wantErr(t, err, backup.ErrLedger)
				_, err = backup.Replay(t.Context(), w.db, w.keys, w.store, s.vaults...)
				wantErr(t, err, backup.ErrLedger)
			}
			o.UnsafeWithoutLedger = "fire in the building that held the vault"
			res, _, err := s.restore(t, first.Run, o)
			must(t, err)
			if res.WithoutLedger != o.UnsafeWithoutLedger || res.Erased != 0 {
				t.Errorf("result: %+v", res)
			}
		})
	}
}

// The first run into another target does not go on with a ledger that the runs of
// the first one say is too short.
func TestARunAsksTheOtherTargetsOfTheVault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	s := w.spoiled(t)
	s.spoilVault(t, "erasures.jsonl", lines(1))
	s.target = t.TempDir()
	var err error
	s.to, err = openTarget(s.target)
	must(t, err)
	t.Cleanup(func() { _ = s.to.Close() })
	s.vault, err = backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
	must(t, err)
	job, err := backup.New(sqlitesource.New(w.data, nil), s.to, s.vault, w.keys, accepting{}, &backup.Options{Target: "second"})
	must(t, err)
	_, err = job.Run(t.Context())
	wantErr(t, err, backup.ErrLedger)
}

// Who can write every folder that is given can exchange entries behind the newest
// run, and chain them anew. He cannot make their codes.
func TestEntriesThatThisSystemDidNotWrite(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 2)
	m := w.run(t)
	for _, c := range people {
		must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	}
	for name, given := range map[string]int{"both folders": 2, "the only one that is given": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			s.vaults = s.vaults[:given]
			s.spoilVault(t, "erasures.jsonl", func(b []byte) []byte { // the last subject is another one
				i := bytes.LastIndex(b, []byte(`"subject":"`)) + len(`"subject":"`)
				return slices.Concat(b[:i], []byte(strings.Repeat("ab", 32)), b[i+64:])
			})
			v := &backup.VerifyOptions{Signer: w.job.Signer(), Vault: s.vaults}
			rep, err := backup.Verify(t.Context(), s.to, m.Run, v)
			must(t, err)
			if rep.LedgerCodes {
				t.Error("the report says that codes were checked, without a key")
			}
			v.Keys = w.keys
			_, err = backup.Verify(t.Context(), s.to, m.Run, v)
			wantErr(t, err, backup.ErrLedger)

			o := s.restoreOptions(t)
			_, dir, err := s.restore(t, m.Run, o)
			wantErr(t, err, backup.ErrLedger)
			nothingAt(t, dir)
			o.UnsafeWithoutLedger = "somebody reached the vault"
			res, _, err := s.restore(t, m.Run, o)
			must(t, err)
			if res.WithoutLedger != o.UnsafeWithoutLedger || res.Erased != 1 {
				t.Errorf("result: %+v; want what is left of the ledger to be used", res)
			}
		})
	}
	rep, err := backup.Verify(t.Context(), w.to, m.Run, &backup.VerifyOptions{Vault: w.vaults, Keys: w.keys})
	must(t, err)
	if !rep.LedgerCodes || rep.Ledger.Entries != 2 {
		t.Errorf("report: %+v", rep)
	}
	if _, err := backup.Verify(t.Context(), w.to, m.Run, &backup.VerifyOptions{Keys: w.keys}); err == nil {
		t.Error("keys are accepted without a vault")
	}
}

// Whoever sets a target back, or takes the newest runs out of it, is told by the
// vault. Runs of another target that shares it are none of this one.
func TestATargetThatWasSetBack(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	first := w.run(t)
	second := w.run(t)
	other := w.besides(t, "second")
	for range 3 {
		_, err := other.Run(t.Context())
		must(t, err)
	}
	newest := func(w *world) (*backup.Manifest, error) {
		return backup.Newest(t.Context(), w.to, w.job.Signer(), w.vaults...)
	}
	m, err := newest(w)
	must(t, err)
	if m.Run != second.Run {
		t.Errorf("newest: %s, want %s", m.Run, second.Run)
	}
	w.tellsOfNewer(t, first.Run, second.Run)
	w.tellsOfNewer(t, second.Run)

	must(t, os.RemoveAll(w.path(second.Run)))
	m, err = newest(w)
	wantErr(t, err, backup.ErrRolledBack)
	if m == nil || m.Run != first.Run || !strings.Contains(err.Error(), second.Run) {
		t.Errorf("newest: %v, %v", m, err)
	}
	w.tellsOfNewer(t, first.Run, second.Run)
	if m, err = backup.Newest(t.Context(), w.to, w.job.Signer()); err != nil || m.Run != first.Run {
		t.Errorf("without the vault: %v, %v", m, err)
	}

	s := w.spoiled(t) // to before all that the vault tells of
	s.forgetRun(t, first.Run, s.vaults...)
	_, err = newest(s)
	wantErr(t, err, backup.ErrRolledBack)
	must(t, os.RemoveAll(s.path(first.Run)))
	_, err = newest(s)
	wantErr(t, err, backup.ErrNoRun)
}

// besides is a job into a target of its own that shares the vault.
func (w *world) besides(t *testing.T, name string) *backup.Job {
	t.Helper()
	to, err := openTarget(t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = to.Close() })
	job, err := backup.New(sqlitesource.New(w.data, nil), to, w.vault, w.keys, accepting{}, &backup.Options{Target: name})
	must(t, err)
	return job
}

// tellsOfNewer looks at what a verification and a restore say is newer than a run.
func (w *world) tellsOfNewer(t *testing.T, run string, want ...string) {
	t.Helper()
	rep, err := backup.Verify(t.Context(), w.to, run, &backup.VerifyOptions{Signer: w.job.Signer(), Vault: w.vaults})
	must(t, err)
	res, _, err := w.restore(t, run, w.restoreOptions(t))
	must(t, err)
	if !slices.Equal(rep.Newer, want) || !slices.Equal(res.Newer, want) {
		t.Errorf("newer than %s: verified %v, restored %v; want %v", run, rep.Newer, res.Newer, want)
	}
}

// A note that somebody else signed, or nobody, is not believed by those that read
// the vault without its keys either.
func TestNotesAreBelievedOfTheSignerAlone(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	m := w.run(t)
	s := w.spoiled(t)
	spoil(t, s.inVault(1, "keystores/"+m.Run+".json"), flip)
	_, err := backup.Newest(t.Context(), s.to, w.job.Signer(), s.vaults...)
	wantErr(t, err, backup.ErrVault)
	_, err = backup.Verify(t.Context(), s.to, m.Run, &backup.VerifyOptions{Vault: s.vaults})
	wantErr(t, err, backup.ErrVault)
	o := s.restoreOptions(t)
	_, dir, err := s.restore(t, m.Run, o)
	wantErr(t, err, backup.ErrVault)
	nothingAt(t, dir)
	o.Vault = s.vaults[:1] // the other folder
	_, _, err = s.restore(t, m.Run, o)
	must(t, err)
}

// silentTarget does not say what it holds.
type silentTarget struct {
	backup.Target

	err error
}

func (s *silentTarget) List(ctx context.Context, prefix string) ([]string, error) {
	if prefix == "" {
		return nil, s.err
	}
	return s.Target.List(ctx, prefix)
}

// Where the other runs cannot be read nobody can say that the ledger is long
// enough: the caller must want the restore all the same.
func TestOtherRunsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	committed, _ := w.list(t)
	o := w.restoreOptions(t)
	dir := filepath.Join(w.root, "restored-"+uuid.NewString())
	into := sqlitesource.Into(dir, nil)
	broken := &silentTarget{w.to, os.ErrDeadlineExceeded}
	_, err := backup.Restore(t.Context(), broken, committed[0], into, o)
	wantErr(t, err, os.ErrDeadlineExceeded)
	nothingAt(t, dir)
	o.UnsafeWithoutLedger = "the disk of the backups is dying"
	res, err := backup.Restore(t.Context(), broken, committed[0], into, o)
	must(t, err)
	if res.WithoutLedger == "" || res.Ledger.Entries != 2 {
		t.Errorf("result: %+v", res)
	}
	s := w.spoiled(t) // a run speaks for itself, whatever the target lists
	s.spoilVault(t, "erasures.jsonl", lines(0))
	for _, dir := range s.vaults {
		for _, end := range []string{".json", ".json.sig"} {
			must(t, os.Remove(filepath.Join(dir, "keystores", committed[0]+end)))
		}
	}
	_, err = backup.Verify(t.Context(), &silentTarget{s.to, nil}, committed[0], &backup.VerifyOptions{Vault: s.vaults})
	wantErr(t, err, backup.ErrLedger)
}

// A target that was set back is told of although runs of another target of the
// same vault lie in it, whichever numbers those have: they do not make it that
// other target. One that is whole is taken for none but itself, also of its runs
// that the vault does not note any more, or not yet.
func TestRunsOfAnotherTargetInOneThatWasSetBack(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	to, err := openTarget(t.TempDir())
	must(t, err)
	t.Cleanup(func() { _ = to.Close() })
	other, err := backup.New(sqlitesource.New(w.data, nil), to, w.vault, w.keys, accepting{}, &backup.Options{Target: "second"})
	must(t, err)
	var own, others []*backup.Manifest
	run := func(job *backup.Job, all *[]*backup.Manifest) {
		m, err := job.Run(t.Context())
		must(t, err)
		*all = append(*all, m)
	}
	run(w.job, &own)
	for range 6 {
		run(other, &others)
	}
	for range 4 {
		run(w.job, &own)
	}
	last := own[4].Run
	newest := func(to backup.Target, vaults []string) error {
		_, err := backup.Newest(t.Context(), to, w.job.Signer(), vaults...)
		return err
	}
	must(t, newest(w.to, w.vaults))
	must(t, newest(to, w.vaults))
	w.tellsOfNewer(t, own[3].Run, last)

	s := w.spoiled(t)
	s.forgetRun(t, last, s.vaults...) // it died before the vault was told
	must(t, newest(s.to, s.vaults))

	for name, c := range map[string]struct{ own, others []int }{
		"one too old for a note": {[]int{0}, []int{5}},
		"one of the noted":       {[]int{2}, []int{5}},
		"a smaller number":       {[]int{2}, []int{1}},
		"all of the other":       {[]int{0}, []int{0, 1, 2, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			for i, m := range own {
				if !slices.Contains(c.own, i) {
					must(t, os.RemoveAll(s.path(m.Run)))
				}
			}
			for _, i := range c.others {
				run := others[i].Run
				must(t, os.CopyFS(s.path(run), os.DirFS(filepath.Join(to.Dir(), run))))
			}
			m, err := backup.Newest(t.Context(), s.to, w.job.Signer(), s.vaults...)
			wantErr(t, err, backup.ErrRolledBack)
			if m.Number < 6 {
				return // its copy of the keystore is gone
			}
			rep, err := backup.Verify(t.Context(), s.to, m.Run, &backup.VerifyOptions{Vault: s.vaults})
			must(t, err)
			if !slices.Contains(rep.Newer, last) {
				t.Errorf("newer than %s: %v; want %s among them", m.Run, rep.Newer, last)
			}
		})
	}
}
