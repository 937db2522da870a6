package tenancy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
)

// Page is a part of a list, for a screen or an API.
type Page[T any] struct {
	Rows []T // in the order asked for
	// Next is where the next page begins; empty at the end of the list. It may stand
	// in an address: what it says of the last row, perhaps a name, is encrypted, and
	// another tenant, table or order gets [ErrBadCursor]. It says so for as long as it
	// is kept, also when the person was erased.
	Next string
}

// defaultPage is the size of a page without [Limit]; mostPage bounds every page.
const (
	defaultPage = 50
	mostPage    = 1000
)

// Page reads the part of a list that begins at a cursor, [Page.Next] of the page
// before, or with the empty string at the beginning. Clauses must be the same for
// all pages; [Limit] is the size of a page, from 1 to 1,000, default 50. It finds
// the place by the values of the last row and not by its number, so that rows which
// come and go meanwhile shift nothing, and the last page costs what the first does.
func (r *Repository[T]) Page(ctx context.Context, c Conn, cursor string, clauses ...Clause) (Page[T], error) {
	var out Page[T]
	q, err := selectionOf(r.t, clauses)
	if err != nil {
		return out, err
	}
	size := q.limit
	switch {
	case size == 0:
		size = defaultPage
	case size > mostPage:
		return out, fmt.Errorf("tenancy: page %s: more than %d rows: %w", r.t.name, mostPage, ErrBadValue)
	}
	seal, err := r.cursorSeal(ctx, c, &q)
	if err != nil {
		return out, err
	}
	var at position
	if cursor != "" {
		if at, err = seal.open(cursor); err != nil {
			return out, err
		}
	}
	for more := true; more && len(out.Rows) <= size; {
		q.hands = size - len(out.Rows)
		q.keeps = q.hands == 0 // the one row more says only that there is a next page
		p, err := r.page(ctx, c, &q, at, size+1-len(out.Rows))
		if err != nil {
			return Page[T]{}, err
		}
		out.Rows = append(out.Rows, p.rows...)
		r.putPage(&p)
		at, more = p.last, p.more
	}
	if len(out.Rows) > size {
		last := reflect.ValueOf(&out.Rows[size-1]).Elem()
		clear(out.Rows[size:])
		out.Rows = out.Rows[:size]
		out.Next, err = seal.close(last)
	}
	return out, err
}

// cursorSeal encrypts the cursors of one order of one table.
type cursorSeal struct {
	q      *selection
	cipher *field.Cipher
	scope  field.Scope
}

// cursorSecret is the secret of each tenant under which cursors are encrypted.
const cursorSecret = "cursor"

func (r *Repository[T]) cursorSeal(ctx context.Context, c Conn, q *selection) (*cursorSeal, error) {
	u, err := c.unit(ctx, reads)
	if err != nil {
		return nil, err
	}
	tenant := u.tx.scope.Tenant
	secret, err := u.tx.db.keys.Secret(ctx, tenant, cursorSecret)
	if err != nil {
		err = u.tx.unknown(ctx, err)
	}
	u.finish(ctx, &err)
	if err != nil {
		return nil, wrap("page", r.t.name, err)
	}
	defer clear(secret)
	cipher, err := field.NewCipher(1, secret)
	order := make([]string, len(q.orders))
	for i, o := range q.orders {
		order[i] = o.c.name + map[bool]string{false: " asc", true: " desc"}[o.desc]
	}
	return &cursorSeal{q: q, cipher: cipher, scope: field.Scope{
		Tenant: tenant.String(), Table: r.t.name, Column: "art32.cursor", Row: strings.Join(order, ", "),
	}}, err
}

func (s *cursorSeal) close(row reflect.Value) (string, error) {
	at, err := s.q.positionOf(row)
	if err != nil {
		return "", err
	}
	parts := make([]string, len(at))
	for i, v := range at {
		if parts[i], err = cursorText(v); err != nil {
			return "", err
		}
	}
	plain, err := json.Marshal(parts)
	if err != nil {
		return "", err
	}
	sealed, err := s.cipher.Seal(nil, plain, s.scope)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

func (s *cursorSeal) open(cursor string) (position, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") { // which base64 would pass over
		return nil, ErrBadCursor
	}
	plain, err := s.cipher.Open(nil, sealed, s.scope)
	if err != nil {
		return nil, ErrBadCursor
	}
	var parts []string
	if json.Unmarshal(plain, &parts) != nil || len(parts) != len(s.q.orders) {
		return nil, ErrBadCursor
	}
	at := make(position, len(parts))
	for i, p := range parts {
		if at[i], err = cursorValue(p); err != nil {
			return nil, ErrBadCursor
		}
	}
	return at, nil
}

// cursorText writes a value with a letter for its type.
func cursorText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "n", nil
	case bool:
		return "b" + strconv.FormatBool(v), nil
	case int64:
		return "i" + strconv.FormatInt(v, 10), nil
	case float64:
		return "f" + strconv.FormatFloat(v, 'g', -1, 64), nil
	case string:
		return "s" + v, nil
	case []byte:
		return "x" + base64.StdEncoding.EncodeToString(v), nil
	case time.Time:
		return "t" + strconv.FormatInt(v.UnixMicro(), 10), nil
	case uuid.UUID:
		return "u" + v.String(), nil
	}
	return "", fmt.Errorf("tenancy: order by a %T: %w", v, ErrBadValue)
}

func cursorValue(p string) (any, error) {
	if p == "" {
		return nil, ErrBadCursor
	}
	text := p[1:]
	switch p[0] {
	case 'n':
		return nil, nil //nolint:nilnil // NULL
	case 'b':
		return strconv.ParseBool(text)
	case 'i':
		return strconv.ParseInt(text, 10, 64)
	case 'f':
		return strconv.ParseFloat(text, 64)
	case 's':
		return text, nil
	case 'x':
		return base64.StdEncoding.DecodeString(text)
	case 't':
		us, err := strconv.ParseInt(text, 10, 64)
		return time.UnixMicro(us).UTC(), err
	case 'u':
		return uuid.Parse(text)
	}
	return nil, errors.New("unknown type")
}
