package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Format is the version of the container, docs/formats/backup.md.
const Format = "art32-backup/v1"

// Names of the objects of a run, below its folder.
const (
	manifestName  = "MANIFEST.json"
	signatureName = "MANIFEST.json.sig"
	sharedName    = "shared" + partSuffix
	tenantsDir    = "tenants/"
	partSuffix    = ".tar.zst.age"
)

// Manifest says what a run consists of. It is kept in clear and holds no
// personal data: sizes and digests of ciphertexts only.
type Manifest struct {
	Format string    `json:"format"` // [Format]
	Run    string    `json:"run"`    // its name
	Number int64     `json:"number"` // from 1, one more than the run before
	Began  time.Time `json:"began"`  // by the clock of the machine, as Ended
	Ended  time.Time `json:"ended"`
	Engine string    `json:"engine"` // "sqlite" or "postgres"
	// Position is [Snapshot.Position].
	Position string      `json:"position"`
	Parts    []File      `json:"parts"`    // what tenants share, then the tenants by name
	Texts    []File      `json:"texts"`    // instructions, in clear
	Keystore File        `json:"keystore"` // its name is that below a folder of the vault
	Ledger   LedgerState `json:"ledger"`
	Previous *Previous   `json:"previous"` // nil for the first
	Excluded []Excluded  `json:"excluded"`
	Signer   string      `json:"signer"` // as in a file authorized_keys
}

// File is an object with the digest of its bytes as they lie there.
type File struct {
	Name       string   `json:"name"` // below the run, or below a folder of the vault
	Size       int64    `json:"size"`
	SHA256     string   `json:"sha256"`
	Recipients []string `json:"recipients,omitempty"` // age recipients
}

// Previous is the run that a run follows.
type Previous struct {
	Run      string `json:"run"`      // its name
	Manifest string `json:"manifest"` // SHA-256 of its manifest
}

// LedgerState says how far the ledger of erasures was written.
type LedgerState struct {
	Entries int64  `json:"entries"` // lines
	Head    string `json:"head"`    // SHA-256 of the last line; zeroes for none
}

var (
	runName    = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-f]{8}$`)
	tenantPart = regexp.MustCompile(`^tenants/[0-9a-f]{32}\.tar\.zst\.age$`)
	textName   = regexp.MustCompile(`^[A-Za-z]+\.(md|sh)$`)
	objectName = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,300}$`)
	engineName = regexp.MustCompile(`^[a-z]{1,20}$`)
	signerLine = regexp.MustCompile(`^ssh-ed25519 [A-Za-z0-9+/]{68}$`)
	recipient  = regexp.MustCompile(`^age1[0-9a-z]+$`)
)

// ParseManifest reads a manifest and refuses one that is not whole, or holds a
// text that is not one line of printable characters: anybody can sign one, and
// it is shown to people. It does not look at signatures.
func ParseManifest(text []byte) (*Manifest, error) {
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, damaged(manifestName, "not in the format %s", Format)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, damaged(manifestName, "something follows its end")
	}
	if err := m.check(); err != nil {
		return nil, damaged(manifestName, "%s", err)
	}
	return &m, nil
}

// encode writes one value a line, so that tools without JSON can read it.
func (m *Manifest) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil && len(text) >= maxManifest {
		err = errors.New("the manifest is longer than any that is read: the database has too many tenants for one backup")
	}
	return append(text, '\n'), err
}

func (m *Manifest) check() error {
	switch {
	case m.Format != Format:
		return fmt.Errorf("not in the format %s", Format)
	case !runName.MatchString(m.Run) || m.Number < 1 || m.Began.IsZero() || m.Ended.IsZero():
		return errors.New("run, number or time is missing")
	case !engineName.MatchString(m.Engine) || !signerLine.MatchString(m.Signer):
		return errors.New("engine or signer is none")
	case !m.printable():
		return errors.New("a text in it is not one line of printable characters")
	case m.Ledger.Entries < 0 || !isDigest(m.Ledger.Head) || (m.Ledger.Entries == 0) != (m.Ledger.Head == noHead):
		return errors.New("the state of the ledger is none")
	case m.Previous != nil && (!runName.MatchString(m.Previous.Run) || !isDigest(m.Previous.Manifest)):
		return errors.New("the run before is none")
	case m.Keystore.check() != nil || m.Keystore.Name != keystoreName(m.Run) || len(m.Keystore.Recipients) == 0:
		return errors.New("the copy of the keystore is none")
	}
	return m.checkParts()
}

func (m *Manifest) checkParts() error {
	if len(m.Parts) == 0 || m.Parts[0].Name != sharedName {
		return errors.New("the part of what tenants share is not first")
	}
	for i, p := range m.Parts {
		switch {
		case p.check() != nil || len(p.Recipients) == 0:
			return fmt.Errorf("part %d is none", i)
		case i > 0 && (!tenantPart.MatchString(p.Name) || len(p.Recipients) != 1):
			return fmt.Errorf("part %d is none of a tenant", i)
		case i > 1 && p.Name <= m.Parts[i-1].Name:
			return fmt.Errorf("part %d is out of order", i)
		}
	}
	for i, f := range m.Texts {
		if f.check() != nil || !textName.MatchString(f.Name) {
			return fmt.Errorf("text %d is none", i)
		}
	}
	return nil
}

func (f File) check() error {
	if !validName(f.Name) || f.Size < 0 || !isDigest(f.SHA256) {
		return errors.New("no object")
	}
	for _, r := range f.Recipients {
		if !recipient.MatchString(r) {
			return errors.New("no recipient")
		}
	}
	return nil
}

// printable looks at the texts that have no form of their own.
func (m *Manifest) printable() bool {
	return printable(m.Position) && !slices.ContainsFunc(m.Excluded, func(x Excluded) bool { return !printable(x.Table) || !printable(x.Reason) })
}

// printable reports whether a text is one line that a terminal shows as it is.
func printable(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// oneLine is a text that a source gave, quoted unless it is printable.
func oneLine(text string) string {
	if printable(text) {
		return text
	}
	return strconv.Quote(text)
}

func validName(name string) bool { return objectName.MatchString(name) && fs.ValidPath(name) }

func isDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && strings.ToLower(s) == s
}
