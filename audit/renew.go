package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

const (
	// actionBegin is the first entry of a log that follows another. Its object is
	// that other log, and its one part, which is not encrypted, the succession.
	actionBegin = "audit.begin"
	// actionRenew says who ordered a new log, and why.
	actionRenew = "audit.renew"
)

// ErrCause says that a log cannot be renewed for that cause.
var ErrCause = errors.New("audit: a log is renewed for a rotation or a restore")

// Renewal says why a log is to be followed by another.
type Renewal struct {
	// Cause is [CauseRotation] or [CauseRestore].
	Cause Cause
	// Held is, after a restore, the newest checkpoint that is held outside, as it was
	// signed: entries behind the restored ones are lost, and the succession says so.
	// Empty where none is held.
	Held []byte
}

// Renew ends the log of a tenant, or with the zero ID the platform's, and begins
// the one that follows, with a key of its own for which the old one vouches. The
// context names actor and reason; without them it returns [tenancy.ErrNoActor] or
// [tenancy.ErrNoReason].
//
// After a restore of a database this must come before anything is sealed: the
// platform's log first, then that of each tenant that was restored. Otherwise the
// sealer would sign other entries in the places of those that were lost, which
// looks like a forged log to whoever holds a newer checkpoint. It returns
// [ErrNoLog] where there is none, [ErrDamaged] where the log contradicts its newest
// checkpoint, and [ErrUnsealed] where the new log has begun and who ordered it waits
// for the sealer.
func (s *Sealer) Renew(ctx context.Context, tenant tenancy.ID, r Renewal) error {
	if r.Cause != CauseRotation && r.Cause != CauseRestore || r.Cause == CauseRotation && len(r.Held) > 0 {
		return ErrCause
	}
	if _, err := tenancy.ActorFrom(ctx); err != nil {
		return fmt.Errorf("audit: renew: %w", err)
	}
	if tenancy.ReasonFrom(ctx) == "" {
		return fmt.Errorf("audit: renew: %w", tenancy.ErrNoReason)
	}
	for tries := 0; ; tries++ {
		err := s.renew(ctx, tenant.UUID(), r)
		if err == nil {
			if _, err = s.seal(ctx, tenant.UUID()); err != nil {
				err = fmt.Errorf("audit: renew: %w: %s", ErrUnsealed, err.Error())
			}
			return err
		}
		if !overtaken(err) || tries >= maxOvertaken {
			return err
		}
	}
}

// dueToEnd reports whether a log is older than a period, and holds more than its
// beginning.
func (s *Sealer) dueToEnd(h *head) bool {
	return s.period > 0 && (h.size > 1 || h.base == 0) && time.Since(time.UnixMicro(h.created)) >= s.period
}

// renew changes nothing before its one transaction but what opens the new log in
// the platform's: wherever it stops, it can be repeated.
func (s *Sealer) renew(ctx context.Context, tenant uuid.UUID, r Renewal) error {
	old, key, err := s.ending(ctx, tenant, r.Cause)
	if err != nil {
		return err
	}
	of := Succession{
		Previous: Checkpoint{Origin: key.name, Size: old.size, Root: old.root},
		Cause:    r.Cause, At: time.Now().UTC().Truncate(time.Microsecond),
	}
	if len(r.Held) > 0 {
		held, err := ParseCheckpoint(r.Held, old.vkey)
		if err != nil {
			return fmt.Errorf("audit: renew: the checkpoint held outside: %w", err)
		}
		of.Held = &held
	}
	next, shard, err := s.nextSigner(ctx, tenant, old.shard, r.Cause)
	if err != nil {
		return err
	}
	if tenant != uuid.Nil {
		for _, log := range []uuid.UUID{old.id, next.log} {
			if _, err := s.open(ctx, tenant, log); err != nil {
				return err
			}
		}
	}
	of.Next = next.vkey
	signed, err := key.succession(&of)
	if err != nil {
		return err
	}
	n := &newLog{old: old, shard: shard, key: next, succession: signed, now: of.At.UnixMicro()}
	if err := inTx(ctx, s.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		defer s.step("beginning")
		return s.begin(ctx, t, tenant, n, r.Cause)
	}); err != nil {
		return err
	}
	s.step("renewed")
	return nil
}

// ending reads the log that ends and its signer.
func (s *Sealer) ending(ctx context.Context, tenant uuid.UUID, cause Cause) (*head, *signer, error) {
	h, err := readHead(ctx, s.db, tenant)
	if err != nil {
		return nil, nil, err
	}
	if h == nil && cause == CauseRestore {
		if err := s.beginEmpty(ctx, tenant); err != nil {
			return nil, nil, err
		}
		h, err = readHead(ctx, s.db, tenant)
	}
	if err != nil {
		return nil, nil, err
	}
	if h == nil {
		return nil, nil, ErrNoLog
	}
	key, err := s.signer(ctx, tenant, h.shard)
	if err != nil {
		return nil, nil, err
	}
	if key.vkey != h.vkey || key.log != h.id {
		return nil, nil, errSigningKey
	}
	return h, key, h.signed()
}

// beginEmpty makes an empty first log where a restored database has none, though
// its key was in use: entries were signed with it that are lost.
func (s *Sealer) beginEmpty(ctx context.Context, tenant uuid.UUID) error {
	used, err := s.log.keys.HasSecret(ctx, uuid.Nil, signerName(tenant, 0))
	if err != nil || !used {
		return err
	}
	key, err := s.signer(ctx, tenant, 0)
	if err != nil {
		return err
	}
	root := emptyRoot()
	note, err := key.checkpoint(0, root)
	if err != nil {
		return err
	}
	err = inTx(ctx, s.db, engine.Scope{Tenant: tenant, Closed: true}, func(t engine.Tx) error {
		n := &newLog{old: &head{}, key: key, now: time.Now().UnixMicro()}
		t.Queue(n.insert(t.Dialect(), tenant, 0, root))
		t.Queue(insertCheckpoint(t.Dialect(), tenant, key.log, 0, note, n.now))
		return nil
	})
	if overtaken(err) {
		return nil
	}
	return err
}

// nextSigner is the signer of the log that follows. After a restore its number is
// one that was never used: a lost log may have had the next.
func (s *Sealer) nextSigner(ctx context.Context, tenant uuid.UUID, shard int64, cause Cause) (*signer, int64, error) {
	for shard++; cause == CauseRestore; shard++ {
		used, err := s.log.keys.HasSecret(ctx, uuid.Nil, signerName(tenant, shard))
		if err != nil {
			return nil, 0, fmt.Errorf("audit: signing key: %w", err)
		}
		if !used {
			break
		}
	}
	key, err := s.signer(ctx, tenant, shard)
	return key, shard, err
}

// newLog is a log that is about to begin.
type newLog struct {
	old        *head
	shard      int64
	key        *signer
	succession []byte
	now        int64
}

// begin ends the old log and writes the first entry of the new one.
func (s *Sealer) begin(ctx context.Context, t engine.Tx, tenant uuid.UUID, n *newLog, cause Cause) error {
	d := t.Dialect()
	t.Queue(engine.Stmt{
		SQL: "UPDATE " + engine.Table(d, "logs") +
			" SET ended_at = $1 WHERE tenant_id = $2 AND id = $3 AND size = $4 AND ended_at IS NULL",
		Args: []any{n.now, tenant, n.old.id, n.old.size}, Rows: 1,
	})
	if cause == CausePeriod {
		ctx = tenancy.WithActor(ctx, sealerService)
	}
	e, err := s.log.open(ctx, tenant, actionBegin)
	if err != nil {
		return err
	}
	e.leaf.Object, e.parts = n.old.id, []part{{ciphertext: n.succession}}
	if err := s.log.queue(ctx, t, e); err != nil {
		return err
	}
	e.leaf.Log = n.key.log
	hash, err := e.leaf.hash(nil)
	if err != nil {
		return err
	}
	root := foldAll(hash[:])
	note, err := n.key.checkpoint(1, root)
	if err != nil {
		return err
	}
	t.Queue(n.insert(d, tenant, 1, root))
	t.Queue(engine.Stmt{
		SQL:  "UPDATE " + engine.Table(d, "events") + " SET leaf = $1 WHERE tenant_id = $2 AND id = $3 AND leaf IS NULL",
		Args: []any{n.old.end(), tenant, e.leaf.Event}, Rows: 1,
	})
	t.Queue(insertTile(d, tenant, n.key.log, tileKey{}, hash[:]))
	t.Queue(insertCheckpoint(d, tenant, n.key.log, 1, note, n.now))
	if cause == CausePeriod {
		return nil
	}
	why, err := s.log.recorded(ctx, tenant, actionRenew, []slog.Attr{slog.String("cause", string(cause))})
	if errors.Is(err, keyring.ErrErased) { // who and when is left to say
		why, err = s.log.open(ctx, tenant, actionRenew)
	}
	if err != nil {
		return err
	}
	return s.log.queue(ctx, t, why)
}

func (n *newLog) insert(d migrate.Dialect, tenant uuid.UUID, size int64, root tlog.Hash) engine.Stmt {
	var succession any
	if n.succession != nil {
		succession = string(n.succession)
	}
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(d, "logs") + " (id, tenant_id, shard, base, origin, vkey, size, root, created_at, succession)" +
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		Args: []any{n.key.log, tenant, n.shard, n.old.end(), n.key.name, n.key.vkey, size, slices.Clone(root[:]), n.now, succession},
	}
}

func insertTile(d migrate.Dialect, tenant, log uuid.UUID, k tileKey, data []byte) engine.Stmt {
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(d, "tiles") + " (tenant_id, log_id, level, n, data) VALUES ($1, $2, $3, $4, $5)" +
			" ON CONFLICT (log_id, level, n) DO UPDATE SET data = excluded.data",
		Args: []any{tenant, log, int64(k.level), k.n, data},
	}
}

func insertCheckpoint(d migrate.Dialect, tenant, log uuid.UUID, size int64, note []byte, now int64) engine.Stmt {
	return engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(d, "checkpoints") +
			" (tenant_id, log_id, size, note, created_at) VALUES ($1, $2, $3, $4, $5)",
		Args: []any{tenant, log, size, string(note), now},
	}
}
