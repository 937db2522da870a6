package field

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Redacted is what a field shows in place of its content, be it NULL, erased
// or readable.
const Redacted = "[encrypted]"

// errMarker keeps a shown field from being stored as if it were content.
var errMarker = errors.New("field: refused: this is the redaction marker, not a value")

// String returns [Redacted].
func (e Encrypted[T]) String() string { return Redacted }

// GoString returns [Redacted].
func (e Encrypted[T]) GoString() string { return Redacted }

// Format prints [Redacted] for every verb.
func (e Encrypted[T]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// LogValue returns [Redacted].
func (e Encrypted[T]) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalJSON returns [Redacted] as a JSON string.
func (e Encrypted[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText returns [Redacted].
func (e Encrypted[T]) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// UnmarshalJSON takes a plain JSON value as [New] does, so that request bodies
// decode; null is NULL. It refuses [Redacted]: a client that sends back what it
// was shown must not overwrite the content with it.
func (e *Encrypted[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		e.Load(nil)
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) == nil && strings.TrimSpace(text) == Redacted {
		return errMarker
	}
	var v T
	if json.Unmarshal(data, &v) != nil { // its error would quote the content
		return fmt.Errorf("field: unmarshal: JSON value does not fit %T", v)
	}
	*e = New(v)
	return nil
}
