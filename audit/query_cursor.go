package audit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/tenancy"
)

// cursorSecret is the secret of each tenant under which cursors are encrypted.
const cursorSecret = "audit/cursor" //nolint:gosec // a name, not the secret

// cursorSeal encrypts the cursors of one query of one tenant: in the scope of another
// they do not open.
type cursorSeal struct {
	cipher *field.Cipher
	scope  field.Scope
}

func (l *Log) cursorSeal(ctx context.Context, tenant uuid.UUID, q *Query) (*cursorSeal, error) {
	secret, err := l.keys.Secret(ctx, tenant, cursorSecret)
	if err != nil {
		return nil, fmt.Errorf("audit: key of cursors: %w", err)
	}
	defer clear(secret)
	cipher, err := field.NewCipher(1, secret)
	if err != nil {
		return nil, fmt.Errorf("audit: key of cursors: %w", err)
	}
	asked, err := json.Marshal([]any{q.Filter, q.Order})
	if err != nil {
		return nil, fmt.Errorf("audit: query: a time has no form: %w", tenancy.ErrBadValue)
	}
	sum := sha256.Sum256(asked)
	return &cursorSeal{cipher: cipher, scope: field.Scope{
		Tenant: tenant.String(), Table: "art32.events", Column: "art32.cursor", Row: hex.EncodeToString(sum[:]),
	}}, nil
}

// place is where a page begins.
type place struct {
	last  uuid.UUID // event of the page before; nil for the first page
	began uuid.UUID // the event of the reading of the first page
}

func (s *cursorSeal) close(p place) (string, error) {
	sealed, err := s.cipher.Seal(nil, slices.Concat(p.last[:], p.began[:]), s.scope)
	if err != nil {
		return "", fmt.Errorf("audit: seal cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (s *cursorSeal) open(cursor string) (place, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") { // which base64 would pass over
		return place{}, tenancy.ErrBadCursor
	}
	plain, err := s.cipher.Open(nil, sealed, s.scope)
	if err != nil || len(plain) != 2*len(uuid.Nil) {
		return place{}, tenancy.ErrBadCursor
	}
	return place{last: uuid.UUID(plain[:16]), began: uuid.UUID(plain[16:])}, nil
}
