package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/art32/art32/backup"
)

func backupListVerb() verb {
	return verb{
		name:  "backup list",
		brief: "list the runs of a target: committed ones by age, and the remains of incomplete ones",
		login: "read access to the target, and to the vault where it is named. No key",
		more: `It looks at signatures, not at the parts: backup verify does. A run is restored with
the copy of the keystore that the vault holds of it, which it does of the newest
runs only: name --vault to see which they are.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			l := &backupList{}
			l.flags(fs)
			fs.Var(&l.vault, "vault", "a `DIR` of the vault: say which runs it can restore; may be repeated; default: not looked at")
			return l.run
		},
	}
}

// backupList is one call of the verb.
type backupList struct{ place }

// listed is a run as it is printed. Anybody can have signed it.
type listed struct {
	Run       string    `json:"run"`
	Committed bool      `json:"committed"`
	Number    int64     `json:"number,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Engine    string    `json:"engine,omitzero"`
	Parts     int       `json:"parts,omitzero"`
	Bytes     int64     `json:"bytes,omitzero"`
	Signer    string    `json:"signer,omitzero"`
	Why       string    `json:"why,omitzero"` // it does not count
	// Keystore says whether a folder of the vault holds its copy of the keystore;
	// nil: not looked at.
	Keystore *bool `json:"keystore,omitzero"`
}

func (l *backupList) run(ctx context.Context, out *output) (err error) {
	target, err := l.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	runs, err := backup.List(ctx, target)
	if err != nil {
		return err
	}
	all := []listed{}
	for _, r := range runs {
		one, err := l.listing(r)
		if err != nil {
			return err
		}
		one.print(out)
		all = append(all, one)
	}
	if len(all) == 0 {
		out.textf("no run")
	}
	return out.value(struct {
		Runs []listed `json:"runs"`
	}{all})
}

// holds reports whether a folder of the vault has a copy of a keystore, by its
// size: backup verify compares the digest.
func (l *backupList) holds(f backup.File) (held bool, err error) {
	for _, dir := range l.vault {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return false, fmt.Errorf("--vault: %w", err)
		}
		st, err := root.Lstat(f.Name)
		err = errors.Join(err, root.Close())
		switch {
		case err == nil:
			held = held || st.Mode().IsRegular() && st.Size() == f.Size
		case !errors.Is(err, fs.ErrNotExist):
			return false, fmt.Errorf("--vault: %w", err)
		}
	}
	return held, nil
}

func (l *backupList) listing(r backup.Run) (one listed, err error) {
	m := r.Manifest
	if m == nil {
		return listed{Run: r.Name, Why: line(r.Err.Error())}, nil
	}
	one = listed{
		Run: m.Run, Committed: true, Number: m.Number, Ended: m.Ended, Engine: line(m.Engine),
		Parts: len(m.Parts), Bytes: bytesOf(m), Signer: line(m.Signer),
	}
	if len(l.vault) > 0 {
		var held bool
		held, err = l.holds(m.Keystore)
		one.Keystore = &held
	}
	return one, err
}

func (l listed) print(out *output) {
	if !l.Committed {
		out.textf("incomplete  %s  %s", l.Run, l.Why)
		return
	}
	note := ""
	if l.Keystore != nil && !*l.Keystore {
		note = "; the vault holds no copy of its keystore: it can be restored by hand only, without what is encrypted"
	}
	out.textf("committed   %s  number %d, %s, %s, %d parts, %s, %s%s", l.Run, l.Number, old(time.Since(l.Ended)), l.Engine, l.Parts, size(l.Bytes), l.Signer, note)
}
