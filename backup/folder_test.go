package backup_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/sqlitesource"
)

// No link in a folder of the vault is followed.
func TestLinksInTheVault(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	for _, name := range []string{"erasures.jsonl", "vault.json", ".lock", ".run", "keystores", "tenants", "tenants/" + w.vault.Pseudonym(w.a) + ".json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.spoiled(t)
			v, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), s.vaults...)
			must(t, err)
			victim := filepath.Join(s.root, "victim")
			if st, err := os.Lstat(s.inVault(1, name)); err == nil && st.IsDir() {
				victim = s.inVault(1, name)
			} else {
				must(t, os.WriteFile(victim, []byte("precious"), 0o600))
			}
			before := readAll(t, filepath.Dir(victim))
			must(t, os.RemoveAll(s.inVault(0, name)))
			must(t, os.Symlink(victim, s.inVault(0, name)))
			job, err := backup.New(sqlitesource.New(copyDir(t, w.data), nil), s.to, v, w.keys, accepting{}, nil)
			must(t, err)
			_, err = job.Run(t.Context())
			wantErr(t, err, backup.ErrVault)
			if name != ".run" && !strings.HasSuffix(name, ".json") || name == "vault.json" {
				wantErr(t, v.Ledger().Erased(t.Context(), w.a, uuid.New()), backup.ErrVault)
			}
			if string(before) != string(readAll(t, filepath.Dir(victim))) {
				t.Error("what the link names was changed")
			}
		})
	}
}

// Two machines that mount the folders under names of another order neither run
// at once nor wait for each other for ever.
func TestFoldersUnderOtherNames(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.1")
	w := newWorld(t)
	mounts := t.TempDir()
	names := []string{filepath.Join(mounts, "z"), filepath.Join(mounts, "a")}
	for i, name := range names {
		must(t, os.Symlink(w.vaults[i], name))
	}
	other, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), names...)
	must(t, err)
	second, err := backup.New(sqlitesource.New(copyDir(t, w.data), nil), w.to, other, w.keys, accepting{}, nil)
	must(t, err)
	var meanwhile error
	job, err := w.newJob(new(backup.Options).OnStep(func(name string) {
		if name == "parts" {
			_, meanwhile = second.Run(t.Context())
		}
	}))
	must(t, err)
	_, err = job.Run(t.Context())
	must(t, err)
	wantErr(t, meanwhile, backup.ErrBusy)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for _, v := range []*backup.Vault{w.vault, other} {
		wg.Go(func() {
			for range 20 {
				if err := v.Ledger().Erased(ctx, w.a, uuid.New()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// One folder under two names, or a copy of it, is not two; a folder that is not
// the one that was opened is an empty place where a disk is to be mounted.
func TestFoldersAreTold(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-7.2")
	w := filled(t)
	same := copyDir(t, w.vaults[0])
	_, err := backup.OpenVault(t.Context(), w.keys, w.recipients(), w.vaults[0], same)
	wantErr(t, err, backup.ErrVault)
	must(t, os.Rename(w.vaults[1], w.vaults[1]+".gone"))
	for _, lay := range []func() error{func() error { return nil }, func() error { return os.Mkdir(w.vaults[1], 0o700) }} {
		must(t, lay())
		err = w.db.Erase(in(t.Context(), w.a), uuid.New())
		wantErr(t, err, backup.ErrVault)
		if !strings.Contains(err.Error(), w.vaults[1]) || !strings.Contains(err.Error(), "mount") {
			t.Errorf("the error does not say which folder to mount: %v", err)
		}
	}
	if got, _ := os.ReadDir(w.vaults[1]); len(got) > 0 {
		t.Errorf("written into the wrong place: %v", got)
	}
}

// told is a target that tells where it is.
type told struct {
	backup.Target

	dir string
}

func (t told) Dir() string { return t.dir }

func TestTargetAndVaultLieApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inside := filepath.Join(w.vaults[0], "target")
	must(t, os.Mkdir(inside, 0o700))
	link := filepath.Join(w.root, "link")
	must(t, os.Symlink(inside, link))
	for dir, ok := range map[string]bool{inside: false, link: false, w.vaults[1]: false, w.root: false, w.target: true} {
		_, err := backup.New(sqlitesource.New(w.data, nil), told{w.to, dir}, w.vault, w.keys, accepting{}, nil)
		if ok {
			must(t, err)
		} else {
			wantErr(t, err, backup.ErrVault)
		}
	}
	_, err := backup.New(sqlitesource.New(w.data, nil), w.to, w.vault, w.keys, accepting{}, &backup.Options{Target: "../x"})
	if err == nil {
		t.Error("accepted a name that is none")
	}
}
