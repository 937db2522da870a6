package keyring

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/art32/art32/internal/aead"
	"golang.org/x/crypto/argon2"
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

// argonParams are those of argon2id (RFC 9106), in the file's order.
type argonParams struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// OWASP's Password Storage Cheat Sheet: argon2id with at least 46 MiB at one
// pass. What a file may ask for is bounded on both sides: weaker is an attack,
// and so is a file that exhausts the machine.
var (
	argonDefault = argonParams{memory: 47104, time: 1, threads: 1}
	argonMost    = argonParams{memory: 1 << 20, time: 16, threads: 16}
)

// CreatePassphraseFile writes a new random root key, wrapped under a key from
// the passphrase by argon2id, to path, which must not exist. The file alone
// opens nothing, but with it a weak passphrase can be guessed.
func CreatePassphraseFile(path string, passphrase []byte) error {
	if len(passphrase) < MinPassphrase {
		return ErrWeakPassphrase
	}
	secret := make([]byte, saltSize+aead.KeySize)
	rand.Read(secret)
	defer clear(secret)
	salt, root := secret[:saltSize], secret[saltSize:]
	kdf := argonDefault.String()
	a, err := argonDefault.derive(passphrase, salt)
	if err != nil {
		return err
	}
	wrapped, err := a.Seal(nil, root, passphraseScope, kdf)
	if err != nil {
		return err
	}
	return createFile(path, formatLines(passphraseTitle,
		line{"kdf", kdf}, line{"salt", encode(salt)}, line{"root", encode(wrapped)}))
}

// PassphraseFile opens a root that [CreatePassphraseFile] wrote. It refuses
// with [ErrKeyFile] what [KeyFile] refuses, and parameters out of bounds, and
// returns [ErrPassphrase] when the passphrase does not open it. It neither
// keeps nor changes the passphrase.
func PassphraseFile(path string, passphrase []byte) (Wrapper, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	file, err := parsePassphraseFile(text)
	if err != nil {
		return nil, refuse(path, err)
	}
	a, err := file.params.derive(passphrase, file.salt)
	if err != nil {
		return nil, err
	}
	root, err := a.Open(nil, file.root, passphraseScope, file.params.String())
	if err != nil {
		return nil, ErrPassphrase
	}
	defer clear(root)
	return newRootKey(root)
}

type passphraseFile struct {
	params     argonParams
	salt, root []byte
}

func parsePassphraseFile(text []byte) (f passphraseFile, err error) {
	values, err := parseLines(text, passphraseTitle, "kdf", "salt", "root")
	if err != nil {
		return f, err
	}
	if f.params, err = parseArgon(values[0]); err != nil {
		return f, err
	}
	if f.salt, err = decode(values[1], saltSize); err != nil {
		return f, err
	}
	f.root, err = decode(values[2], aead.KeySize+aead.Overhead)
	return f, err
}

func (p argonParams) String() string {
	return fmt.Sprintf("argon2id m=%d t=%d p=%d", p.memory, p.time, p.threads)
}

func parseArgon(text string) (p argonParams, err error) {
	_, err = fmt.Sscanf(text, "argon2id m=%d t=%d p=%d", &p.memory, &p.time, &p.threads)
	if err != nil || p.String() != text {
		return p, errors.New("its kdf line is not of the form argon2id m= t= p=")
	}
	if p.memory < argonDefault.memory || p.time < argonDefault.time || p.threads < argonDefault.threads {
		return p, fmt.Errorf("its parameters are weaker than %s: it was changed", argonDefault)
	}
	if p.memory > argonMost.memory || p.time > argonMost.time || p.threads > argonMost.threads {
		return p, fmt.Errorf("its parameters exceed %s: it was changed", argonMost)
	}
	return p, nil
}

func (p argonParams) derive(passphrase, salt []byte) (*aead.AEAD, error) {
	key := argon2.IDKey(passphrase, salt, p.time, p.memory, p.threads, aead.KeySize)
	defer clear(key)
	return aead.New(aead.LabelWrap, rootVersion, key)
}
