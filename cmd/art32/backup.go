package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/backup/dirtarget"
)

// place is where backups lie, as the verbs name it.
type place struct {
	dir    string
	vault  values
	run    string
	signer string
}

func (p *place) flags(fs *flag.FlagSet) {
	fs.StringVar(&p.dir, "target", "", "the `DIR` that holds the backups; required")
}

// readFlags are those of a run that is read; unsigned says what happens without
// a signer.
func (p *place) readFlags(fs *flag.FlagSet, unsigned string) {
	p.flags(fs)
	fs.Var(&p.vault, "vault", "a `DIR` of the vault, with the copies of the keystore and the ledger of erasures; may be repeated")
	fs.StringVar(&p.run, "run", "", "the `NAME` of the run; default: the newest that is committed, unless the vault tells of a newer one")
	fs.StringVar(&p.signer, "signer", "", "the public `KEY` that must have signed, or a file that holds it, as it is kept elsewhere;\n"+unsigned)
}

// open opens the target. The caller closes it.
func (p *place) open() (*dirtarget.Target, error) {
	if p.dir == "" {
		return nil, usagef("--target DIR is required")
	}
	return dirtarget.Open(p.dir)
}

// resolve reads what the flags name.
func (p *place) resolve() (err error) {
	if p.dir == "" {
		return usagef("--target DIR is required")
	}
	p.signer, err = readSigner(p.signer)
	return err
}

// readNamed reads a file that a flag names. The name is not quoted: where a file
// is asked for, people put what the file holds.
func readNamed(name, path string) ([]byte, error) {
	if isIdentity(path) {
		return nil, usagef("%s is given an age identity itself: it is secret, and stands in the list of processes now; replace it, and name a file", name)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("%s: %v", name, cause(err))
	}
	return text, nil
}

// isIdentity reports whether a text begins as an age identity does.
func isIdentity(text string) bool {
	return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(text)), identityPrefix)
}

const identityPrefix = "AGE-SECRET-KEY-"

// cause is what went wrong with a file, without its name.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	return err
}

const signerPrefix = "ssh-ed25519 "

// readSigner takes a key, or the first one in a file such as authorized_keys or
// allowed_signers, or the word for the one that the backup names.
func readSigner(text string) (string, error) {
	if text == "" || text == backup.SignerOfManifest {
		return text, nil
	}
	if !strings.HasPrefix(text, signerPrefix) {
		file, err := readNamed("--signer", text)
		if err != nil {
			return "", err
		}
		text = string(file)
	}
	_, key, ok := strings.Cut(text, signerPrefix)
	fields := strings.Fields(key)
	if !ok || len(fields) == 0 {
		return "", usagef(`--signer is no key of the form "ssh-ed25519 AAAA…", nor a file that holds one`)
	}
	return signerPrefix + fields[0], nil
}

// choose is the run that is meant.
func (p *place) choose(ctx context.Context, target backup.Target) (string, error) {
	if p.run != "" {
		return p.run, nil
	}
	m, err := backup.Newest(ctx, target, p.signer, p.vault...)
	switch {
	case errors.Is(err, backup.ErrRolledBack):
		return "", fmt.Errorf("%w: mount the target that holds it, or say with --run %s that an older one is meant", err, m.Run)
	case err != nil:
		return "", err
	}
	return m.Run, nil
}

// known reports whether a signer is named by somebody else than the backup.
func known(signer string) bool { return signer != "" && signer != backup.SignerOfManifest }

// readIdentities reads files of age identities. Nothing of them is ever quoted.
func readIdentities(files []string) (all []age.Identity, err error) {
	for _, name := range files {
		text, err := readNamed("--identity", name)
		if err != nil {
			return nil, err
		}
		ids, err := age.ParseIdentities(bytes.NewReader(text))
		clear(text)
		if err != nil { // its text may quote the secret
			return nil, usagef("--identity: %s holds no identities of age in clear (\"AGE-SECRET-KEY-1…\")", name)
		}
		all = append(all, ids...)
	}
	return all, nil
}

// readRecipients takes recipients of age, and files that hold some.
func readRecipients(given []string) (all []string, err error) {
	for _, text := range given {
		if strings.HasPrefix(text, "age1") {
			all = append(all, text)
			continue
		}
		file, err := readNamed("--recovery", text)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(file)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				all = append(all, line)
			}
		}
	}
	return all, nil
}

// warn says what a verification or a restore cannot make up for.
func (p *place) warn(out *output, newer []string) {
	if len(newer) > 0 {
		out.textf("WARN  not the last state: the target or the vault tells of %d newer runs: %s", len(newer), strings.Join(newer, ", "))
	}
	if len(p.vault) == 1 {
		out.textf("WARN  one folder of the vault was given: erasures after the newest run are vouched for by two copies of the ledger agreeing; give both")
	}
}

// size says a number of bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	x, i := float64(n), 0
	for ; x >= 1024 && i < len(units)-1; i++ {
		x /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", x, units[i])
}

// bytesOf is how much a run holds.
func bytesOf(m *backup.Manifest) (n int64) {
	for _, p := range m.Parts {
		n += p.Size
	}
	return n
}

// skew is how far clocks may differ before somebody should look at them.
const skew = 5 * time.Minute

// old is how old something is, in words.
func old(d time.Duration) string {
	if d < -skew {
		return ago(-d) + " in the future: a clock was wrong"
	}
	return ago(max(d, 0)) + " old"
}

// ago is a span of time, in words.
func ago(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// signedBy says whose the signature is.
func signedBy(signer string, given bool) string {
	if given {
		return "signed by the key that was given: " + signer
	}
	return "signed by the key that it names itself: " + signer + "\n  hold it elsewhere, and pass it with --signer: else a forged backup looks the same"
}
