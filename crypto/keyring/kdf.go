package keyring

import (
	"crypto/fips140"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/art32/art32/internal/aead"
	"golang.org/x/crypto/argon2"
)

// ErrNotApproved says that a passphrase file uses argon2id, where only functions
// that FIPS 140 approves may run.
var ErrNotApproved = errors.New("keyring: argon2id is not approved for FIPS 140, which GODEBUG=fips140=only enforces: have ChangePassphrase write the file with PBKDF2 in a process without it")

// KDF is a function that makes a key of a passphrase, and a guesser slow.
type KDF string

// The functions that a passphrase file may use.
const (
	// Argon2id (RFC 9106) costs a guesser memory too. FIPS 140 does not approve
	// it.
	Argon2id KDF = "argon2id"
	// PBKDF2 is that of RFC 8018 with HMAC-SHA-256 (NIST SP 800-132). It costs
	// time alone, of which a guesser's hardware has more than we: choose a
	// longer passphrase.
	PBKDF2 KDF = "pbkdf2-hmac-sha256"
)

// kdfParams are what the kdf line of a file says. Its text is bound to what it
// protects.
type kdfParams interface {
	fmt.Stringer
	key(passphrase, salt []byte) ([]byte, error)
}

// argonParams are those of argon2id, in the file's order.
type argonParams struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// pbkdf2Params are those of PBKDF2.
type pbkdf2Params struct{ iterations int }

// OWASP's Password Storage Cheat Sheet: argon2id with at least 46 MiB at one
// pass, PBKDF2 with HMAC-SHA-256 and at least 600,000 iterations. What a file
// may ask for is bounded on both sides: weaker is an attack, and so is a file
// that exhausts the machine.
var (
	argonDefault  = argonParams{memory: 47104, time: 1, threads: 1}
	argonMost     = argonParams{memory: 1 << 20, time: 16, threads: 16}
	pbkdf2Default = pbkdf2Params{iterations: 600_000}
	pbkdf2Most    = pbkdf2Params{iterations: 10_000_000}
)

// params are the ones for a new file.
func (k KDF) params() (kdfParams, error) {
	switch k {
	case "":
		if fips140.Enabled() {
			return pbkdf2Default, nil
		}
		return argonDefault, nil
	case PBKDF2:
		return pbkdf2Default, nil
	case Argon2id:
		if fips140.Enforced() {
			return nil, ErrNotApproved
		}
		return argonDefault, nil
	}
	return nil, fmt.Errorf("keyring: no such function for a passphrase: %q", string(k))
}

func parseKDF(text string) (kdfParams, error) {
	name, _, _ := strings.Cut(text, " ")
	switch KDF(name) {
	case Argon2id:
		return parseArgon(text)
	case PBKDF2:
		return parsePBKDF2(text)
	}
	return nil, errors.New("its kdf line names no function known here; restore it from its copy, or use the version that wrote it")
}

func (p argonParams) String() string {
	return fmt.Sprintf("argon2id m=%d t=%d p=%d", p.memory, p.time, p.threads)
}

func parseArgon(text string) (kdfParams, error) {
	var p argonParams
	_, err := fmt.Sscanf(text, "argon2id m=%d t=%d p=%d", &p.memory, &p.time, &p.threads)
	if err != nil || p.String() != text {
		return nil, errors.New("its kdf line is not of the form argon2id m= t= p=")
	}
	if p.memory < argonDefault.memory || p.time < argonDefault.time || p.threads < argonDefault.threads {
		return nil, fmt.Errorf("its parameters are weaker than %s: it was changed", argonDefault)
	}
	if p.memory > argonMost.memory || p.time > argonMost.time || p.threads > argonMost.threads {
		return nil, fmt.Errorf("its parameters exceed %s: it was changed", argonMost)
	}
	if fips140.Enforced() {
		return nil, ErrNotApproved
	}
	return p, nil
}

func (p argonParams) key(passphrase, salt []byte) ([]byte, error) {
	return argon2.IDKey(passphrase, salt, p.time, p.memory, p.threads, aead.KeySize), nil
}

func (p pbkdf2Params) String() string {
	return fmt.Sprintf("%s i=%d", PBKDF2, p.iterations)
}

func parsePBKDF2(text string) (kdfParams, error) {
	var p pbkdf2Params
	_, err := fmt.Sscanf(text, string(PBKDF2)+" i=%d", &p.iterations)
	if err != nil || p.String() != text {
		return nil, fmt.Errorf("its kdf line is not of the form %s i=", PBKDF2)
	}
	if p.iterations < pbkdf2Default.iterations {
		return nil, fmt.Errorf("its parameters are weaker than %s: it was changed", pbkdf2Default)
	}
	if p.iterations > pbkdf2Most.iterations {
		return nil, fmt.Errorf("its parameters exceed %s: it was changed", pbkdf2Most)
	}
	return p, nil
}

func (p pbkdf2Params) key(passphrase, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(passphrase), salt, p.iterations, aead.KeySize)
}

// derive returns what the root is wrapped with.
func derive(p kdfParams, passphrase, salt []byte) (*aead.AEAD, error) {
	key, err := p.key(passphrase, salt)
	if err != nil {
		return nil, fmt.Errorf("keyring: derive key from passphrase: %w", err)
	}
	defer clear(key)
	return aead.New(aead.LabelWrap, rootVersion, key)
}
