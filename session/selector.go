package session

import (
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Kind says by what a [Selector] chooses.
type Kind string

// The kinds. The zero Kind is invalid.
const (
	KindID     Kind = "id"
	KindUser   Kind = "user"
	KindTenant Kind = "tenant"
)

// Selector chooses sessions. [OfID], [OfUser] and [OfTenant] make one; the zero
// Selector chooses nothing and is refused with [ErrSelector]. Later versions may
// bring more kinds: a [Store] refuses those that it does not know in the same way.
type Selector struct {
	kind   Kind
	tenant tenancy.ID
	user   uuid.UUID
	ids    []uuid.UUID
}

// OfID chooses sessions by their public ids.
func OfID(ids ...uuid.UUID) Selector { return Selector{kind: KindID, ids: ids} }

// OfUser chooses all sessions of a user at a tenant.
func OfUser(tenant tenancy.ID, user uuid.UUID) Selector {
	return Selector{kind: KindUser, tenant: tenant, user: user}
}

// OfTenant chooses all sessions of a tenant.
func OfTenant(tenant tenancy.ID) Selector { return Selector{kind: KindTenant, tenant: tenant} }

// Kind gives by what s chooses: "" for a selector that names nothing, such as
// one of the zero tenant.
func (s Selector) Kind() Kind {
	switch {
	case s.kind == KindID && (len(s.ids) == 0 || slices.Contains(s.ids, uuid.Nil)),
		s.kind != KindID && s.tenant.IsZero(),
		s.kind == KindUser && s.user == uuid.Nil:
		return ""
	}
	return s.kind
}

// IDs are those of [OfID].
func (s Selector) IDs() []uuid.UUID { return s.ids }

// Tenant is that of [OfUser] and [OfTenant], else the zero ID.
func (s Selector) Tenant() tenancy.ID { return s.tenant }

// User is that of [OfUser], else nil.
func (s Selector) User() uuid.UUID { return s.user }

// Matches reports whether s chooses x, for stores that ask each session.
func (s Selector) Matches(x Session) bool {
	switch s.Kind() {
	case KindID:
		return slices.Contains(s.ids, x.ID)
	case KindUser:
		return x.Tenant == s.tenant && x.User == s.user
	case KindTenant:
		return x.Tenant == s.tenant
	}
	return false
}
