package blob

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
)

// Ref is what a row keeps of its content: the name of the object, its length, and
// the key that opens it (docs/formats/blob.md). It is a secret. [Store.Put] makes it
// and [Store.Open] reads it; nobody else needs to. The caller must not give one to a
// second row: deleting either would take the content from both, and erasing the
// person of the one would leave it to the other.
//
// Printed, logged or in JSON, and so in the audit log, it shows "blob:" and the
// object's id alone, and does not come back in from there.
type Ref string

const refPrefix = "a32b1."

// ref is a Ref taken apart.
type ref struct {
	id     uuid.UUID // of the object
	tenant uuid.UUID
	size   int64 // of the content
	key    []byte
}

const refBytes = 16 + 16 + 8 + field.KeySize

var errRef = errors.New("blob: the row's reference to its content is none")

func (r *ref) text() Ref {
	b := make([]byte, 0, refBytes)
	b = append(append(b, r.id[:]...), r.tenant[:]...)
	b = append(binary.BigEndian.AppendUint64(b, uint64(r.size)), r.key...)
	defer clear(b)
	return Ref(refPrefix + base64.RawURLEncoding.EncodeToString(b))
}

func (r Ref) parse() (*ref, error) {
	body, ok := strings.CutPrefix(string(r), refPrefix)
	if !ok || strings.ContainsAny(body, "\r\n") { // which base64 would pass over
		return nil, errRef
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(b) != refBytes {
		return nil, errRef
	}
	size := binary.BigEndian.Uint64(b[32:40])
	if size > field.MaxStream {
		return nil, errRef
	}
	return &ref{id: uuid.UUID(b[:16]), tenant: uuid.UUID(b[16:32]), size: int64(size), key: b[40:]}, nil
}

// scope binds the object to its tenant, table and id.
func (r *ref) scope(table string) field.Scope {
	return field.Scope{Tenant: r.tenant.String(), Table: table, Column: "blob", Row: r.id.String()}
}

func (r *ref) cipher() (*field.Cipher, error) { return field.NewCipher(1, r.key) }

// String shows the object's id.
func (r Ref) String() string {
	if p, err := r.parse(); err == nil {
		return "blob:" + p.id.String()
	}
	return "blob:"
}

// Format keeps the key out of every log.
func (r Ref) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue keeps the key out of every log.
func (r Ref) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON keeps the key out of documents and events.
func (r Ref) MarshalJSON() ([]byte, error) { return []byte(`"` + r.String() + `"`), nil }

// UnmarshalJSON refuses: what [Ref.MarshalJSON] shows is no reference.
func (r *Ref) UnmarshalJSON([]byte) error {
	return errors.New("blob: a reference does not come from JSON")
}
