package carrier

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/art32/art32/crypto/field"
)

// Unseal reads a text under a key, whatever its expiry, and returns its content as
// JSON.
func Unseal(key []byte, purpose, text string) (string, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, prefix))
	if err != nil {
		return "", err
	}
	cipher, err := field.NewCipher(1, key)
	if err != nil {
		return "", err
	}
	in, err := (&Carrier{purpose: purpose}).unsealed(cipher, sealed)
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(in)
	return string(out), err
}
