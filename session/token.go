package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
)

// Hash is the SHA-256 of a session's token, which is all that a [Store] holds of
// it. It prints, logs and marshals as a mark: who can read hashes cannot make
// tokens of them, but would recognise one. fmt asks no method of a value in an
// unexported field: a type that keeps one there needs a Format of its own. A store
// must write the bytes, h[:]: also the text form is the mark.
type Hash [sha256.Size]byte

const redacted = "[redacted]"

// String implements [fmt.Stringer].
func (Hash) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Hash) GoString() string { return redacted }

// Format implements [fmt.Formatter].
func (Hash) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue implements [slog.LogValuer].
func (Hash) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [encoding/json.Marshaler].
func (Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText implements [encoding.TextMarshaler].
func (Hash) MarshalText() ([]byte, error) { return []byte(redacted), nil }

const (
	tokenSize   = 32 // bytes: 256 bits (ASVS 7.2.3 asks for 128)
	tokenLength = 43 // characters of the cookie's value
)

// tokenForm has one spelling for each token.
var tokenForm = base64.RawURLEncoding.Strict()

// token opens a session. It leaves the process in one cookie and is kept
// nowhere.
type token [tokenSize]byte

// newToken draws a token from the operating system's generator.
func newToken() (t token) {
	_, _ = rand.Read(t[:]) // never fails: the program would end
	return t
}

// parseToken reads the value of a cookie.
func parseToken(s string) (t token, ok bool) {
	if len(s) != tokenLength {
		return token{}, false
	}
	var text [tokenLength]byte
	copy(text[:], s)
	n, err := tokenForm.Decode(t[:], text[:])
	return t, err == nil && n == tokenSize
}

// reveal is the value of the cookie.
func (t token) reveal() string { return tokenForm.EncodeToString(t[:]) }

func (t token) hash() Hash { return sha256.Sum256(t[:]) }

// String implements [fmt.Stringer].
func (token) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (token) GoString() string { return redacted }

// Format implements [fmt.Formatter].
func (token) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// LogValue implements [slog.LogValuer].
func (token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [encoding/json.Marshaler].
func (token) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText implements [encoding.TextMarshaler].
func (token) MarshalText() ([]byte, error) { return []byte(redacted), nil }
