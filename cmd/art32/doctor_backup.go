package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
)

// backupAge is how old the newest backup may be (TOM-7.1: weekly).
const backupAge = 7 * 24 * time.Hour

// backups looks at the target and the vault that the flags name.
func (d *doctor) backups(ctx context.Context) {
	if d.copies.dir == "" || len(d.copies.vault) == 0 {
		d.unchecked("TOM-7.1", "backup", "name --target and --vault")
		return
	}
	target, err := dirtarget.Open(d.copies.dir)
	if err != nil {
		d.add("TOM-7.1", "backup", bad(err.Error(), "mount it, or name another with --target"))
		return
	}
	defer target.Close()
	runs, err := backup.List(ctx, target)
	if err != nil {
		d.add("TOM-7.1", "backup", bad(err.Error(), ""))
		return
	}
	d.vaults()
	d.remains(runs)
	if m := newest(runs, d.copies.signer); m != nil {
		d.age(m)
		d.whole(ctx, target, m)
		return
	}
	text := "the target holds no committed run"
	if known(d.copies.signer) {
		text += " of that signer"
	}
	d.add("TOM-7.1", "backup", bad(text, "art32 backup run, on a schedule of at least once a week"))
}

// newest is the manifest of the last committed run, of a signer if one is named.
func newest(runs []backup.Run, signer string) *backup.Manifest {
	for _, r := range slices.Backward(runs) {
		if r.Manifest != nil && (!known(signer) || r.Manifest.Signer == signer) {
			return r.Manifest
		}
	}
	return nil
}

func (d *doctor) age(m *backup.Manifest) {
	age := time.Since(m.Ended)
	note := fmt.Sprintf("%s, %s, %s", m.Run, old(age), size(bytesOf(m)))
	if age < -skew {
		d.add("TOM-7.1", "backup", bad("the newest committed run is "+old(age)+", and how old it is nobody knows", "set the clocks of this machine and of the one that writes the backups; art32 backup run"))
		return
	}
	if age > backupAge {
		d.add("TOM-7.1", "backup", bad("the newest committed run is "+ago(age)+" old", "art32 backup run, on a schedule of at least once a week"))
		return
	}
	d.note("TOM-7.1", "backup", note)
}

// remains finds runs that died.
func (d *doctor) remains(runs []backup.Run) {
	var found []fault
	for _, r := range runs {
		if r.Manifest == nil {
			found = append(found, bad("run "+r.Name+" is incomplete: "+r.Err.Error(), "look why it died; the next art32 backup run that succeeds removes it"))
		}
	}
	d.add("TOM-7.1", "runs", found...)
}

// whole compares everything with what the manifest says.
func (d *doctor) whole(ctx context.Context, target backup.Target, m *backup.Manifest) {
	note := "signature, sizes, digests, copy of the keystore, identities and ledger fit"
	if !known(d.copies.signer) {
		note += "; the signer is the one that the backup names: --signer tells it from a forged one"
	}
	var found []fault
	rep, err := backup.Verify(ctx, target, m.Run, &backup.VerifyOptions{Signer: d.copies.signer, Vault: d.copies.vault})
	if err != nil {
		mend := "art32 backup run makes a new one; find out what changed this one"
		if errors.Is(err, backup.ErrVault) { // a run refuses it too
			mend = "put the vault right first: art32 backup run refuses it too; where no copy of it is left, art32 backup run with a new vault and a new target"
		}
		found = append(found, bad(err.Error(), mend))
	}
	if rep != nil && len(rep.Newer) > 0 {
		found = append(found, bad(fmt.Sprintf("the vault tells of %d newer runs: %s", len(rep.Newer), strings.Join(rep.Newer, ", ")),
			"mount the target that holds them, or find out who removed them; art32 backup run makes a new one"))
	}
	d.note("TOM-7.1", "newest run", note, found...)
	var wrong []fault
	if n := len(m.Keystore.Recipients); n < 2 {
		wrong = append(wrong, bad(fmt.Sprintf("%d recovery recipients: if the only identity is lost, so is every backup", n), "art32 backup run with two --recovery"))
	}
	for _, p := range m.Parts[1:] {
		if len(p.Recipients) != 1 {
			wrong = append(wrong, bad(p.Name+" has another recipient beside the tenant's: it cannot be forgotten", "art32 backup run"))
		}
	}
	d.note("TOM-7.2", "recipients", fmt.Sprintf("%d can recover; each tenant's part has one", len(m.Keystore.Recipients)), wrong...)
}

// vaults compares the folders of the vault.
func (d *doctor) vaults() {
	if len(d.copies.vault) == 1 {
		d.add("TOM-7.1", "vault", bad("it has one folder: with that disk every backup is lost", "name a second on another disk to art32 backup run and here"))
		return
	}
	var found []fault
	first, err := contents(d.copies.vault[0])
	for _, dir := range d.copies.vault[1:] {
		other, otherErr := contents(dir)
		if err = errors.Join(err, otherErr); err != nil {
			break
		}
		if name, differ := difference(first, other); differ {
			found = append(found, bad(fmt.Sprintf("%s and %s differ, first in %s", d.copies.vault[0], dir, name),
				"art32 backup run mends what a crash explains; if they differ after it, copy the newer folder, all but "+badgeName+", over the older"))
		}
	}
	if err != nil {
		found = append(found, bad(err.Error(), "mount it, or name the right folder with --vault"))
	}
	d.note("TOM-7.1", "vault", fmt.Sprintf("%d equal folders", len(d.copies.vault)), found...)
}

// badgeName is the file of a vault's folder that says which of them it is.
const badgeName = "vault.json"

// contents are the digests of the files of a folder: locks, drafts and what each
// has for itself apart.
func contents(dir string) (all map[string][32]byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	all = map[string][32]byte{}
	return all, fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || name == badgeName {
			return err
		}
		text, err := root.ReadFile(name)
		all[name] = sha256.Sum256(text)
		return err
	})
}

// difference is the first name under which two folders differ.
func difference(a, b map[string][32]byte) (name string, differ bool) {
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, inA := a[name]
		y, inB := b[name]
		if inA != inB || x != y {
			return name, true
		}
	}
	return "", false
}
