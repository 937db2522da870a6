package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// erasing is what the verbs about erasures have in common.
type erasing struct {
	keyed

	tenant   string
	reason   string
	vault    values
	recovery values
}

func (e *erasing) flags(fs *flag.FlagSet) {
	e.keyed.flags(fs)
	fs.StringVar(&e.keystore, "keystore", "", "SQLite: the `DIR` of keystore.db; default: that of the data")
	fs.StringVar(&e.tenant, "tenant", "", "the `ID` of the tenant; required")
	fs.Var(&e.vault, "vault", "a `DIR` of the vault, with the ledger of erasures; needs --recovery; repeated")
	fs.Var(&e.recovery, "recovery", "a `RECIPIENT` of age (\"age1…\") who can recover, or a file that lists some, as of the vault; repeated")
}

// resolve makes sure that all is named, and gives the tenant.
func (e *erasing) resolve() (id tenancy.ID, err error) {
	if err := e.keyed.resolve(); err != nil {
		return id, err
	}
	if id, err = tenancy.ParseID(e.tenant); err != nil {
		return id, usagef("--tenant ID is required")
	}
	recipients, err := readRecipients(e.recovery)
	switch {
	case err != nil:
		return id, err
	case e.data == "" && e.keystore != "":
		return id, usagef("--keystore belongs to --data")
	case len(e.vault) > 0 != (len(recipients) > 0):
		return id, usagef("--vault DIR and --recovery RECIPIENT belong together")
	case len(e.vault) > 0:
		e.ledger = func(ctx context.Context, keys *keyring.Ring) (tenancy.ErasureLedger, error) {
			v, err := backup.OpenVault(ctx, keys, recipients, e.vault...)
			if err != nil {
				return nil, err
			}
			return v.Ledger(), nil
		}
	}
	return id, nil
}

// noCopies declares that the keystore has no copies.
const noCopies = "none"

// parseCopies reads declarations NAME=LIFE.
func parseCopies(texts []string) ([]keyring.Copy, error) {
	all := []keyring.Copy{}
	for _, text := range texts {
		if text == noCopies && len(texts) == 1 {
			break
		}
		name, life, ok := strings.Cut(text, "=")
		d, err := parseLife(life)
		if !ok || name == "" || err != nil {
			return nil, usagef("--copy is none of NAME=LIFE, with a LIFE such as 36h or 14d, and not the word %s alone", noCopies)
		}
		all = append(all, keyring.Copy{Name: name, Life: d})
	}
	return all, nil
}

// parseLife reads a duration, also in days.
func parseLife(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}

// The files of a record.
const (
	recordFile  = "record.json"
	recordSig   = recordFile + ".sig"
	recordDE    = "record.de.md"
	recordEN    = "record.en.md"
	maxFileSize = 16 << 20
)

// writeRecord writes the files of a record into a folder that has none of them.
func writeRecord(dir string, r *tenancy.SignedErasureRecord) (err error) {
	for _, f := range []struct {
		name string
		text []byte
	}{{recordSig, r.Signature}, {recordDE, []byte(r.German())}, {recordEN, []byte(r.English())}, {recordFile, r.Text}} {
		if err := writeNew(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	return nil
}

// freeForRecord makes the folder, and refuses one that holds a record.
func freeForRecord(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range []string{recordFile, recordSig, recordDE, recordEN} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s is there already: name another folder with --out", filepath.Join(dir, name))
		}
	}
	return nil
}

func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
