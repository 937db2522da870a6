package audit

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	// actionErase is the entry that says that parts of payloads were erased. It
	// names nobody. Its one part is not encrypted: the digests of what is gone,
	// sorted, by which a verifier tells erasure from tampering.
	actionErase   = "audit.erase"
	maxErasedEach = 4096 // digests in one entry
	// clearActions are those whose parts are not encrypted and stay.
	clearActions = "('" + actionErase + "', '" + actionBegin + "')"
)

// isClear reports whether the parts of an action are not encrypted.
func isClear(action string) bool { return action == actionErase || action == actionBegin }

// EraseSubject removes what the log holds about a person beyond the random ids:
// the ciphertext of every part of a payload that was encrypted under that
// person's key. It queues entries that say that parts were erased, not whose;
// roots and proofs stay valid. Repeating it is safe and adds one more entry. tx
// must be one of [tenancy.DB.In]; in one of [tenancy.DB.InSQL] it returns
// [ErrRole].
func (l *Log) EraseSubject(ctx context.Context, tx *tenancy.Tx, subject uuid.UUID) error {
	t := tx.Engine(engine.Library)
	if t.Role() != engine.RoleLibrary {
		return ErrRole
	}
	tenant := tx.Tenant().UUID()
	digests, err := erasable(ctx, t, tenant, subject)
	if err != nil {
		return err
	}
	if len(digests) == 0 {
		return l.queueErasure(ctx, tx, nil)
	}
	t.Queue(engine.Stmt{
		SQL: "UPDATE " + engine.Table(t.Dialect(), "event_parts") +
			" SET subject = NULL, ciphertext = NULL WHERE tenant_id = $1 AND subject = $2",
		Args: []any{tenant, subject}, Rows: int64(len(digests)),
	})
	slices.SortFunc(digests, bytes.Compare)
	for chunk := range slices.Chunk(digests, maxErasedEach) {
		if err := l.queueErasure(ctx, tx, []part{{ciphertext: bytes.Join(chunk, nil)}}); err != nil {
			return err
		}
	}
	return nil
}

// queueErasure queues one entry. It has no part where there was nothing to
// erase: that somebody ordered an erasure is recorded all the same.
func (l *Log) queueErasure(ctx context.Context, tx *tenancy.Tx, manifest []part) error {
	e, err := l.open(ctx, tx.Tenant().UUID(), actionErase)
	if err != nil {
		return err
	}
	e.parts = manifest
	return l.queueIn(ctx, tx, e)
}

// erasable lists the digests of the parts that lie under a person's key.
func erasable(ctx context.Context, t engine.Tx, tenant, subject uuid.UUID) ([][]byte, error) {
	d := t.Dialect()
	var digests [][]byte
	_, err := t.Run(ctx, engine.Stmt{
		SQL: "SELECT p.ciphertext FROM " + engine.Table(d, "event_parts") + " p" +
			" WHERE p.tenant_id = $1 AND p.subject = $2 AND p.ciphertext IS NOT NULL",
		Args: []any{tenant, subject},
	}, engine.Continue, func(r engine.Row) error {
		var ciphertext []byte
		if err := r.Scan(&ciphertext); err != nil {
			return err
		}
		sum := partDigest(subject, ciphertext)
		digests = append(digests, sum[:])
		return nil
	})
	return digests, dbError("find a person's parts", err)
}
