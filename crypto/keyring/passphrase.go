package keyring

import (
	"crypto/rand"
	"errors"

	"github.com/art32/art32/internal/aead"
)

var (
	// ErrPassphrase says that the passphrase does not open its file.
	ErrPassphrase = errors.New("keyring: wrong passphrase, or the passphrase file was changed")
	// ErrWeakPassphrase says that a passphrase is shorter than [MinPassphrase].
	ErrWeakPassphrase = errors.New("keyring: passphrase shorter than 12 bytes")
)

// MinPassphrase is the shortest passphrase, in bytes, that a new file accepts.
// The function that slows a guesser down cannot save a guessable one.
const MinPassphrase = 12

const (
	passphraseTitle = "art32 root passphrase v1" //nolint:gosec // G101: a title, no secret
	passphraseScope = "art32/passphrase-file/v1"
	saltSize        = 16
)

// PassphraseOptions of a new passphrase file.
type PassphraseOptions struct {
	// KDF makes a key of the passphrase; default [PBKDF2] where FIPS 140 mode is
	// on (GODEBUG=fips140=on or only), else [Argon2id].
	KDF KDF
}

// CreatePassphraseFile writes a new random root key, wrapped under a key from
// the passphrase, to path, which must not exist. The file alone opens nothing,
// but with it a weak passphrase can be guessed. [Argon2id] is refused with
// [ErrNotApproved] under GODEBUG=fips140=only.
func CreatePassphraseFile(path string, passphrase []byte, o *PassphraseOptions) error {
	root := randomKey()
	defer clear(root)
	return writePassphraseFile(path, passphrase, root, o)
}

// PassphraseFile opens a root that [CreatePassphraseFile] wrote. It refuses
// with [ErrKeyFile] what [KeyFile] refuses, parameters out of bounds, and
// argon2id under GODEBUG=fips140=only, which is [ErrNotApproved] too. It returns
// [ErrPassphrase] when the passphrase does not open the file. It neither keeps
// nor changes the passphrase.
func PassphraseFile(path string, passphrase []byte) (Wrapper, error) {
	root, err := openPassphraseFile(path, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(root)
	return newRootKey(root)
}

// ChangePassphrase writes the root of the passphrase file path to newPath, which
// must not exist, under a new passphrase or another function. It opens what the
// old file opens. The old passphrase opens it too as long as a copy of the old
// file exists: delete them all.
func ChangePassphrase(path string, passphrase []byte, newPath string, newPassphrase []byte, o *PassphraseOptions) error {
	if len(newPassphrase) < MinPassphrase { // before the old one takes its time
		return ErrWeakPassphrase
	}
	root, err := openPassphraseFile(path, passphrase)
	if err != nil {
		return err
	}
	defer clear(root)
	return writePassphraseFile(newPath, newPassphrase, root, o)
}

func writePassphraseFile(path string, passphrase, root []byte, o *PassphraseOptions) error {
	if len(passphrase) < MinPassphrase {
		return ErrWeakPassphrase
	}
	if o == nil {
		o = &PassphraseOptions{}
	}
	kdf, err := o.KDF.params()
	if err != nil {
		return err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	a, err := derive(kdf, passphrase, salt)
	if err != nil {
		return err
	}
	wrapped, err := a.Seal(nil, root, passphraseScope, kdf.String())
	if err != nil {
		return err
	}
	return createFile(path, formatLines(passphraseTitle,
		line{"kdf", kdf.String()}, line{"salt", encode(salt)}, line{"root", encode(wrapped)}))
}

func openPassphraseFile(path string, passphrase []byte) ([]byte, error) {
	text, err := readFile(path, ownerOnly)
	if err != nil {
		return nil, err
	}
	file, err := parsePassphraseFile(text)
	if err != nil {
		return nil, refuse(path, err)
	}
	a, err := derive(file.kdf, passphrase, file.salt)
	if err != nil {
		return nil, err
	}
	root, err := a.Open(nil, file.root, passphraseScope, file.kdf.String())
	if err != nil {
		return nil, ErrPassphrase
	}
	return root, nil
}

type passphraseFile struct {
	kdf        kdfParams
	salt, root []byte
}

func parsePassphraseFile(text []byte) (f passphraseFile, err error) {
	values, err := parseLines(text, passphraseTitle, "kdf", "salt", "root")
	if err != nil {
		return f, err
	}
	if f.kdf, err = parseKDF(values[0]); err != nil {
		return f, err
	}
	if f.salt, err = decode(values[1], saltSize); err != nil {
		return f, err
	}
	f.root, err = decode(values[2], aead.KeySize+aead.Overhead)
	return f, err
}
