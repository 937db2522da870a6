package backup_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
	"github.com/art32/art32/session/sqlstore"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// inVault is a file of a tenant in a folder of the vault.
func (w *world) inVault(folder int, name string) string { return filepath.Join(w.vaults[folder], name) }

func (w *world) tenantFile(folder int, end string) string {
	return w.inVault(folder, "tenants/"+w.vault.Pseudonym(w.a)+end)
}

// Somebody who writes into one folder cannot have identities deleted: what is
// not signed as a tombstone is refused, by openings, runs and restores.
func TestTombstonesThatNobodySigned(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	m := w.run(t)
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	for name, plant := range map[string]func(t *testing.T, s *world){
		"empty": func(t *testing.T, s *world) { must(t, os.WriteFile(s.tenantFile(0, ".forgotten"), nil, 0o600)) },
		"unsigned": func(t *testing.T, s *world) {
			must(t, os.WriteFile(s.tenantFile(0, ".forgotten"), []byte("{}\n"), 0o600))
		},
		"a link": func(t *testing.T, s *world) {
			must(t, os.Symlink(s.tenantFile(0, ".forgotten"), s.tenantFile(0, ".forgotten")))
		},
		"a pipe":   func(t *testing.T, s *world) { must(t, syscall.Mkfifo(s.tenantFile(0, ".forgotten"), 0o600)) },
		"a folder": func(t *testing.T, s *world) { must(t, os.Mkdir(s.tenantFile(0, ".forgotten"), 0o700)) },
		"a record": func(t *testing.T, s *world) { // which is signed
			must(t, os.WriteFile(s.tenantFile(0, ".forgotten"), read(s.tenantFile(0, ".json")), 0o600))
			must(t, os.WriteFile(s.tenantFile(0, ".forgotten.sig"), read(s.tenantFile(0, ".json.sig")), 0o600))
		},
		"that of another": func(t *testing.T, s *world) {
			o := *s
			o.a = w.b
			v, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			must(t, err)
			must(t, v.Forget(t.Context(), w.b))
			for _, end := range []string{".forgotten", ".forgotten.sig"} {
				must(t, os.WriteFile(s.tenantFile(0, end), read(o.tenantFile(0, end)), 0o600))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			v, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			must(t, err)
			plant(t, s)
			job, err := backup.New(sqlitesource.New(copyDir(t, w.data), nil), s.to, v, w.keys, accepting{}, nil)
			must(t, err)
			_, err = job.Run(t.Context())
			wantErr(t, err, backup.ErrVault)
			_, err = backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			wantErr(t, err, backup.ErrVault)
			_, dir, err := s.restore(t, m.Run, s.restoreOptions(t))
			wantErr(t, err, backup.ErrVault)
			nothingAt(t, dir)
			for i := range s.vaults {
				for _, end := range []string{".json", ".json.sig", ".identity.age"} {
					if _, err := os.Lstat(s.tenantFile(i, end)); err != nil {
						t.Errorf("%s is gone: %v", end, err)
					}
				}
			}
		})
	}
}

// What one folder alone has is checked before the other gets it.
func TestARecordThatNobodySigned(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	name := "tenants/" + strings.Repeat("ab", 16)
	for _, end := range []string{".identity.age", ".json.sig", ".json"} {
		must(t, os.WriteFile(w.inVault(0, name+end), []byte("x"), 0o600))
	}
	_, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults...)
	wantErr(t, err, backup.ErrVault)
	if !strings.Contains(err.Error(), w.vaults[0]) {
		t.Errorf("the error does not say where: %v", err)
	}
	if got, _ := filepath.Glob(w.inVault(1, name+"*")); len(got) > 0 {
		t.Errorf("copied: %v", got)
	}
}

// With the ledger damaged in one folder, a restore without the ledger still uses
// every entry that any folder holds.
func TestWithoutLedgerUsesWhatIsLeft(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 2)
	m := w.run(t)
	for _, c := range people {
		must(t, w.db.Erase(in(t.Context(), w.a), c.ID))
	}
	for name, spoilIt := range map[string]func(t *testing.T, s *world){
		"one line": func(t *testing.T, s *world) { ledger(func([]byte) []byte { return []byte("x\n") })(t, s.vaults[0]) },
		"line by line": func(t *testing.T, s *world) { // each folder lost another line
			ledger(func(b []byte) []byte { return []byte("x\n" + strings.SplitAfter(string(b), "\n")[1]) })(t, s.vaults[0])
			ledger(func(b []byte) []byte { return []byte(strings.SplitAfter(string(b), "\n")[0] + "x\n") })(t, s.vaults[1])
		},
		"no plain file": func(t *testing.T, s *world) {
			must(t, os.Remove(s.inVault(0, "erasures.jsonl")))
			must(t, os.Mkdir(s.inVault(0, "erasures.jsonl"), 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			spoilIt(t, s)
			o := s.restoreOptions(t)
			_, _, err := s.restore(t, m.Run, o)
			if err == nil {
				t.Fatal("restored with a damaged ledger")
			}
			o.UnsafeWithoutLedger = "a folder is damaged"
			res, _, err := s.restore(t, m.Run, o)
			must(t, err)
			if res.Erased != 2 {
				t.Errorf("%d erasures repeated, want 2", res.Erased)
			}
		})
	}
}

// Who can write the target gets the vault to throw nothing away, and the next run
// says that the earlier ones are not there any more, and follows them.
func TestSignaturesRemovedFromTheTarget(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	first, second := w.run(t), w.run(t)
	away := *w
	away.target = copyDir(t, w.target)
	var err error
	away.to, err = openTarget(away.target)
	must(t, err)
	t.Cleanup(func() { _ = away.to.Close() })
	must(t, os.Remove(w.path(first.Run+"/MANIFEST.json.sig")))
	must(t, os.RemoveAll(w.path(second.Run)))

	figures, err := w.job.Check(t.Context())
	must(t, err)
	if got := attrs(figures)["missing"]; got != int64(2) {
		t.Errorf("missing: %v, want 2", got)
	}
	m, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrDamaged)
	for _, run := range []string{first.Run, second.Run} {
		if !strings.Contains(err.Error(), run) {
			t.Errorf("the error does not name %s: %v", run, err)
		}
	}
	if m.Number != 3 || m.Previous == nil || m.Previous.Run != second.Run {
		t.Errorf("number %d, previous %v; want 3 after %s", m.Number, m.Previous, second.Run)
	}
	for _, run := range []string{first.Run, second.Run} {
		_, _, err = away.restore(t, run, away.restoreOptions(t))
		must(t, err)
	}
}

// A note of a run that nobody signed is refused.
func TestACommitThatNobodySigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.run(t)
	spoil(t, w.inVault(1, "keystores/"+m.Run+".json"), flip)
	_, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrVault)
}

// An old vault whose ledger is that of today has not the identities that the
// last run was encrypted to.
func TestRunRefusesAnOldVault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := newWorld(t)
	w.run(t)
	for _, dir := range w.vaults {
		must(t, os.RemoveAll(filepath.Join(dir, "tenants")))
		must(t, os.RemoveAll(filepath.Join(dir, "keystores")))
	}
	var err error
	w.vault, err = backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults...)
	must(t, err)
	w.job, err = w.newJob(nil)
	must(t, err)
	_, err = w.job.Run(t.Context())
	wantErr(t, err, backup.ErrVault)
	if got, _ := filepath.Glob(w.inVault(0, "tenants/*")); len(got) > 0 {
		t.Errorf("made anew: %v", got)
	}
}

// An entry that was changed at equal length is seen by a process that runs, and
// the error says whose copy is the wrong one; entries that this system did not
// write are refused.
func TestChangedEntries(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := filled(t)
	foreign := filled(t)
	for name, how := range map[string]func([]byte) []byte{
		"the last one": func(b []byte) []byte {
			i := strings.LastIndex(string(b), `"subject":"`) + len(`"subject":"`)
			b[i] ^= 1 // stays a hexadecimal digit, but for 9 and a
			if b[i] == '`' || b[i] == ':' || b[i] == 'g' || b[i] == '8' {
				b[i] = '1'
			}
			return b
		},
		"of another system": func([]byte) []byte {
			b, err := os.ReadFile(foreign.inVault(0, "erasures.jsonl"))
			must(t, err)
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			v, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			must(t, err)
			ledger(how)(t, s.vaults[1])
			_, openErr := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			_, replayErr := backup.Replay(t.Context(), w.db, w.keys, w.store, s.vaults[1])
			for _, err := range []error{v.Ledger().Erased(t.Context(), w.a, uuid.New()), openErr, replayErr} {
				wantErr(t, err, backup.ErrLedger)
				if !strings.Contains(err.Error(), s.vaults[1]) || strings.Contains(err.Error(), s.vaults[0]) {
					t.Errorf("the error does not say which copy is the wrong one: %v", err)
				}
			}
		})
	}
}

// A tenant stays forgotten, and the deletion is finished, when a crash fell
// between the two files or the two folders.
func TestForgettingIsFinished(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	kept := copyDir(t, w.vaults[1])
	must(t, w.vault.Forget(t.Context(), w.a))
	must(t, w.vault.Forget(t.Context(), w.a))
	must(t, os.RemoveAll(filepath.Join(w.vaults[1], "tenants")))
	must(t, os.Rename(filepath.Join(kept, "tenants"), filepath.Join(w.vaults[1], "tenants"))) // as if only the first folder knew
	_, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults...)
	must(t, err)
	equalFolders(t, w.vaults)
	if _, err := os.Lstat(w.tenantFile(1, ".identity.age")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the identity is there: %v", err)
	}
	m := w.run(t)
	if len(m.Parts) != 2 {
		t.Errorf("parts: %d, want 2", len(m.Parts))
	}
}

// accepting is a log that takes everything.
type accepting struct{}

func (accepting) Record(context.Context, string, ...slog.Attr) error { return nil }

// A database that was opened without the ledger erases past it. The next run
// finds out, says so and writes it down: no older backup brings them back.
func TestErasedPastTheLedger(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.3")
	w := newWorld(t)
	people := w.add(t, w.a, 2)
	careless, err := sqlite.Open(t.Context(), w.data, schema, w.keys, w.log, &sqlite.Options{Migrations: migrations, Lines: []tenancy.Line{sqlstore.Line()}})
	must(t, err)
	defer careless.Close()
	must(t, careless.Erase(in(t.Context(), w.a), people[0].ID))
	first := w.run(t) // the vault is new: it can have missed something, and takes it over
	if first.Ledger.Entries != 1 {
		t.Errorf("%d entries, want 1", first.Ledger.Entries)
	}
	must(t, careless.Erase(in(t.Context(), w.a), people[1].ID))
	second, err := w.job.Run(t.Context())
	wantErr(t, err, backup.ErrLedger)
	if second == nil || second.Ledger.Entries != 2 {
		t.Fatalf("second run: %+v", second)
	}
	w.run(t)
	res, _, err := w.restore(t, first.Run, w.restoreOptions(t))
	must(t, err)
	if res.Erased != 1 {
		t.Errorf("%d erasures repeated, want 1", res.Erased)
	}
}
