package tenancy

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// Tenant is one customer: the controller of the data that lies under its ID.
type Tenant struct {
	ID      ID     // random; the zero ID is drawn by CreateTenant
	Name    string // for the operator; 1 to 200 printable characters; in no log and no file name
	Created time.Time
}

// CreateTenant makes a tenant known and gives it its keys. A zero ID is drawn.
// It needs an actor, and where a person acts a reason ([ErrNoReason]), and leaves
// an event in the platform's log. Repeating it with the same ID after a crash
// finishes what was begun; an ID that exists is [ErrExists]. With [ErrUnsealed] the
// tenant is there.
func (db *DB) CreateTenant(ctx context.Context, t Tenant) (Tenant, error) {
	if n := utf8.RuneCountInString(t.Name); n < 1 || n > 200 || !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, obeyed) {
		return Tenant{}, errors.New("tenancy: create tenant: name must have 1 to 200 printable characters of valid UTF-8")
	}
	if _, err := ActorFrom(ctx); err != nil {
		return Tenant{}, err
	}
	if t.ID.IsZero() {
		t.ID = NewID()
	}
	if err := db.check(ctx, actionCreate); err != nil {
		return Tenant{}, err
	}
	t.Created = time.Now().UTC().Truncate(time.Microsecond)
	if _, err := db.erasureCode(ctx, t.ID.UUID(), uuid.Nil); err != nil { // makes its secret, see there
		return Tenant{}, err
	}
	if err := db.keys.CreateTenant(ctx, t.ID.UUID()); err != nil {
		return Tenant{}, wrap("create", "tenant", err)
	}
	err := db.insertTenant(ctx, t)
	if err != nil && !errors.Is(err, ErrUnsealed) {
		return Tenant{}, err
	}
	return t, err
}

const actionCreate = "tenant.create"

// obeyed reports whether a terminal does something on r instead of showing it:
// control characters, and marks that reorder text.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
}

func (db *DB) insertTenant(ctx context.Context, t Tenant) error {
	tx, err := db.begin(ctx, scopeOf(ctx, ID{}))
	if err != nil {
		return err
	}
	return tx.do(ctx, func(ctx context.Context) error {
		c := Change{Action: actionCreate, Object: t.ID.UUID(), Outcome: Done}
		if err := db.log.Change(ctx, tx, c); err != nil {
			return err
		}
		_, err := tx.eng.Run(ctx, engine.Stmt{
			SQL:  "INSERT INTO " + engine.Table(db.eng.Dialect(), "tenants") + " (id, name, created_at) VALUES ($1, $2, $3)",
			Args: []any{t.ID.UUID(), t.Name, t.Created}, Rows: 1,
		}, engine.Continue, nil)
		return wrap("create", "tenant", err)
	})
}

// Tenants lists all tenants, oldest first, for jobs that visit each.
func (db *DB) Tenants(ctx context.Context) ([]Tenant, error) {
	tx, err := db.begin(ctx, engine.Scope{})
	if err != nil {
		return nil, err
	}
	var all []Tenant
	_, err = tx.eng.Run(ctx, engine.Stmt{
		SQL: "SELECT id, name, created_at FROM " + engine.Table(db.eng.Dialect(), "tenants") + " ORDER BY created_at, id",
	}, engine.Commit, func(r engine.Row) error {
		var t Tenant
		var id uuid.UUID
		err := r.Scan(&id, &t.Name, &t.Created)
		t.ID = ID(id)
		all = append(all, t)
		return err
	})
	return all, wrap("list", "tenants", err)
}
