package keyring_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/google/uuid"
)

// A root and a key wrapped under it: each worker of a fuzz campaign needs the
// same.
const (
	keptKeyFile        = "art32 root key v1\nkey: PGIkUk0jIfn/ff00klB7KaxJBiufcj8twHtaaxt/Gn8=\ncheck: cDpRK1eMMjI=\n"
	keptPassphraseFile = "art32 root passphrase v1\nkdf: argon2id m=47104 t=1 p=1\nsalt: S8jC0Upp7u43Y2jCrCitlQ==\nroot: AQAAAAGtbzhRdQSoJFEJXHoceXLJtz4nj8731SZ0LqVueSzZjb1d0eZQ5Wu1VDuSev0+Z9GR3fukaNocJYN9YX7/GL+sAYBBr3aZlqhStq5aOB2H+tYfkNHEM1tb5N8CWA==\n"
	keptWrapped        = "0100000001ac1c0e402d4de8037f0cb073029e36de560d9e1b89b493279ea6d7069a590da30e6ce81a63bba7bb1575406e2ea66182d1822a8b988d431d8811b5326ff9aff39574c396ec7bd19ca8ce9b6d8097d4bc1174d64e8261e480e108c1dc"
)

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	return value(hex.DecodeString(text))(tb)
}

func keptRoot(tb testing.TB) keyring.Wrapper {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "root.key")
	noError(tb, os.WriteFile(path, []byte(keptKeyFile), 0o600))
	return value(keyring.KeyFile(path))(tb)
}

// keptCopy is a copy of a keystore under keptRoot, and something that was sealed
// with one of its keys.
type keptCopy struct {
	Copy                    string
	At                      time.Time
	Records, Tombstones     int64
	Tenant, Subject, Erased uuid.UUID
	Plain, Sealed           string // the latter in hexadecimal
}
