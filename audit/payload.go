package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// payload is what an event tells about people and data. It is stored encrypted
// only, as JSON with sorted keys.
type payload struct {
	Attrs  map[string]any         `json:"attrs,omitempty"`
	Detail string                 `json:"detail,omitempty"`
	Fields map[string]valueChange `json:"fields,omitempty"`
	Reason string                 `json:"reason,omitempty"`
	// Withheld names what was left out because the person was erased.
	Withheld []string `json:"withheld,omitempty"`
}

type valueChange struct {
	Old any `json:"old,omitempty"`
	New any `json:"new,omitempty"`
}

// part is one person's piece of an event's payload, as it is stored.
type part struct {
	subject    uuid.UUID // nil: under the tenant's key
	ciphertext []byte
}

func (p *payload) empty() bool {
	return len(p.Attrs) == 0 && p.Detail == "" && len(p.Fields) == 0 && p.Reason == "" && len(p.Withheld) == 0
}

// withoutPerson is what may still be said of an erased person's row: what was
// done to open columns. The reason is free text that may name people.
func (p *payload) withoutPerson(fields []tenancy.FieldChange) *payload {
	out := &payload{Detail: p.Detail, Fields: make(map[string]valueChange)}
	for _, f := range fields {
		if f.Class == tenancy.Open {
			out.Fields[f.Column] = p.Fields[f.Column]
			continue
		}
		out.Withheld = append(out.Withheld, f.Column)
	}
	if p.Reason != "" {
		out.Withheld = append(out.Withheld, "reason")
	}
	return out
}

func changed(fields []tenancy.FieldChange) map[string]valueChange {
	m := make(map[string]valueChange, len(fields))
	for _, f := range fields {
		m[f.Column] = valueChange{Old: f.Old, New: f.New}
	}
	return m
}

// encode writes p as JSON of at most limit bytes. The errors of encoding/json
// quote values: they are replaced.
func (p *payload) encode(limit int) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		return nil, ErrPayload
	}
	if b.Len() > limit {
		return nil, fmt.Errorf("audit: payload of %d bytes, limit %d: %w", b.Len(), limit, ErrTooLarge)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// about says of whom an event is and whether a key may be made for that person.
type about struct {
	tenant, event, subject uuid.UUID
	fields                 []tenancy.FieldChange
	refused                bool
}

// seal encrypts p under the data subject's key; without a subject, or where
// that key is gone, under the tenant's.
func (l *Log) seal(ctx context.Context, a about, p *payload) ([]part, error) {
	if p.empty() {
		return nil, nil
	}
	cipher, err := l.subjectCipher(ctx, a)
	if errors.Is(err, keyring.ErrErased) {
		a.subject, p = uuid.Nil, p.withoutPerson(a.fields)
	} else if err != nil {
		return nil, fmt.Errorf("audit: key of the data subject: %w", err)
	}
	if cipher == nil {
		a.subject = uuid.Nil
		if cipher, err = l.keys.TenantCipher(ctx, a.tenant); err != nil {
			return nil, fmt.Errorf("audit: key of the tenant: %w", err)
		}
	}
	s := sealing{log: l, leaf: &Leaf{Tenant: a.tenant, Event: a.event}, left: l.maxPayload}
	err = s.add(a.subject, cipher, p)
	return s.parts, err
}

// subjectCipher is nil where the event is about nobody. A refused action makes
// no key: whoever asks for random ids would fill the keystore.
func (l *Log) subjectCipher(ctx context.Context, a about) (*field.Cipher, error) {
	switch {
	case a.subject == uuid.Nil:
		return nil, nil //nolint:nilnil // nobody
	case !a.refused:
		return l.keys.CreateCipher(ctx, a.tenant, a.subject)
	}
	c, err := l.keys.Cipher(ctx, a.tenant, a.subject)
	if errors.Is(err, keyring.ErrNoKey) {
		return nil, keyring.ErrErased
	}
	return c, err
}

// payloadScope is the one place where a part opens.
func payloadScope(tenant, event uuid.UUID, number int) field.Scope {
	return field.Scope{
		Tenant: tenant.String(), Table: "art32.events", Column: "payload",
		Row: event.String() + "/" + strconv.Itoa(number),
	}
}

// attrMap turns attributes into values that JSON holds. The later of two equal
// keys stands.
func attrMap(attrs []slog.Attr) map[string]any {
	m := make(map[string]any, len(attrs))
	for _, a := range attrs {
		v := a.Value.Resolve()
		if v.Kind() == slog.KindGroup {
			group := attrMap(v.Group())
			if a.Key == "" {
				maps.Copy(m, group)
				continue
			}
			m[a.Key] = group
			continue
		}
		m[a.Key] = attrValue(v)
	}
	return m
}

func attrValue(v slog.Value) any {
	switch v.Kind() { //nolint:exhaustive // the others are JSON already
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	}
	if err, ok := v.Any().(error); ok {
		return err.Error()
	}
	return v.Any()
}
