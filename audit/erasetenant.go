package audit

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

var (
	_ tenancy.TenantEraser  = (*Log)(nil)
	_ tenancy.ErasureTeller = (*Log)(nil)
)

// payloads are the parts from an event on that tell of people or data: all but
// those that are not encrypted.
func payloads(d migrate.Dialect) string {
	return " FROM " + engine.Table(d, "event_parts") + " p WHERE " + payloadsFrom(d)
}

func payloadsFrom(d migrate.Dialect) string {
	return "p.tenant_id = $1 AND p.event_id >= $2 AND p.ciphertext IS NOT NULL AND NOT EXISTS (SELECT 1 FROM " +
		engine.Table(d, "events") + " e WHERE e.tenant_id = p.tenant_id AND e.id = p.event_id AND e.action IN " + clearActions + ")"
}

// EraseTenant implements [tenancy.TenantEraser]: it empties the payloads of a
// page of the tenant's events, whose keys are gone, and queues the entry that
// names their digests. Roots and proofs stay valid. tx must not be one of
// [tenancy.DB.InSQL]: [ErrRole].
func (l *Log) EraseTenant(ctx context.Context, tx *tenancy.Tx, from uuid.UUID) (next uuid.UUID, err error) {
	t := tx.Engine(engine.Library)
	if t.Role() != engine.RoleLibrary {
		return uuid.Nil, ErrRole
	}
	tenant := tx.Tenant().UUID()
	parts, err := payloadPage(ctx, t, tenant, from)
	if err != nil {
		return uuid.Nil, err
	}
	if len(parts) == maxErasedEach { // the last event may go on
		next = parts[len(parts)-1].event
		parts = slices.DeleteFunc(parts, func(p storedPart) bool { return p.event == next })
	}
	if len(parts) == 0 {
		if from != uuid.Nil {
			return uuid.Nil, nil
		}
		return uuid.Nil, l.queueErasure(ctx, tx, nil)
	}
	t.Queue(emptyPage(t.Dialect(), tenant, from, next, len(parts)))
	digests := make([][]byte, len(parts))
	for i, p := range parts {
		sum := partDigest(p.subject, p.ciphertext)
		digests[i] = sum[:]
	}
	slices.SortFunc(digests, bytes.Compare)
	return next, l.queueErasure(ctx, tx, []part{{ciphertext: bytes.Join(digests, nil)}})
}

// payloadPage reads as many parts as one entry can name.
func payloadPage(ctx context.Context, t engine.Tx, tenant, from uuid.UUID) (parts []storedPart, err error) {
	_, err = t.Run(ctx, engine.Stmt{
		SQL: "SELECT CAST(p.event_id AS TEXT), COALESCE(CAST(p.subject AS TEXT), ''), p.ciphertext" + payloads(t.Dialect()) +
			" ORDER BY p.event_id, p.part LIMIT $3",
		Args: []any{tenant, from, int64(maxErasedEach)},
	}, engine.Continue, func(r engine.Row) error {
		var event, subject string
		var p storedPart
		if err := r.Scan(&event, &subject, &p.ciphertext); err != nil {
			return err
		}
		p.event, p.subject = parseID(event), parseID(subject)
		parts = append(parts, p)
		return nil
	})
	return parts, dbError("find a tenant's parts", err)
}

// emptyPage empties exactly what was read.
func emptyPage(d migrate.Dialect, tenant, from, next uuid.UUID, parts int) engine.Stmt {
	s := engine.Stmt{
		SQL:  "UPDATE " + engine.Table(d, "event_parts") + " AS p SET subject = NULL, ciphertext = NULL WHERE " + payloadsFrom(d),
		Args: []any{tenant, from}, Rows: int64(parts),
	}
	if next != uuid.Nil {
		s.SQL, s.Args = s.SQL+" AND p.event_id < $3", append(s.Args, next)
	}
	return s
}

// Remains implements [tenancy.ErasureTeller].
func (l *Log) Remains() tenancy.LogRemains {
	return tenancy.LogRemains{
		Emptied: []string{"payload"},
		Kept:    []string{"id", "time", "actor", "session", "action", "object", "outcome", "digest", "checkpoint"},
	}
}

// Holds implements [tenancy.ErasureTeller].
func (l *Log) Holds(ctx context.Context, tx *tenancy.Tx, subject uuid.UUID) (bool, error) {
	t := tx.Engine(engine.Library)
	where, args := payloadsFrom(t.Dialect()), []any{tx.Tenant().UUID(), uuid.Nil}
	if subject != uuid.Nil {
		where, args = "p.tenant_id = $1 AND p.subject = $2 AND p.ciphertext IS NOT NULL", []any{tx.Tenant().UUID(), subject}
	}
	var n int64
	_, err := t.Run(ctx, engine.Stmt{
		SQL:  "SELECT count(*) FROM " + engine.Table(t.Dialect(), "event_parts") + " p WHERE " + where,
		Args: args, Rows: 1,
	}, engine.Continue, func(r engine.Row) error { return r.Scan(&n) })
	return n > 0, dbError("find a person's parts", err)
}
