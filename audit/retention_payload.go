package audit

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// emptyEach is how many events are looked at in one transaction.
const emptyEach = 512

// kept is for how long the payloads of each class stay; classes that set nothing
// are left out.
func (r *Retention) kept(p RetentionPolicy) map[string]time.Duration {
	keep := make(map[string]time.Duration)
	for _, c := range r.log.Classes() {
		if d := c.Retention; d > 0 {
			keep[c.Name] = d
		}
		if d, ok := p.Classes[c.Name]; ok {
			if delete(keep, c.Name); d > 0 {
				keep[c.Name] = d
			}
		}
	}
	return keep
}

// empty empties the payloads of a tenant's events that are older than their classes
// allow, as an erasure does: entries name the digests of what is gone.
func (r *Retention) empty(ctx context.Context, tenant uuid.UUID, p RetentionPolicy, now time.Time) (emptied int64, err error) {
	keep := r.kept(p)
	if len(keep) == 0 {
		return 0, nil
	}
	ctx = tenancy.WithActor(ctx, retentionService)
	for from := int64(0); from >= 0; {
		var n int64
		if n, from, err = r.emptyPage(ctx, tenant, keep, now, from); err != nil {
			return emptied, err
		}
		emptied += n
	}
	return emptied, nil
}

// emptyPage looks at a page of sealed events with payloads, from a leaf on, and
// returns the leaf of the next page; -1: there is none.
func (r *Retention) emptyPage(ctx context.Context, tenant uuid.UUID, keep map[string]time.Duration, now time.Time, from int64) (n, next int64, err error) {
	t, err := r.db.Engine(engine.Library).Begin(ctx, engine.Scope{Tenant: tenant, Closed: true})
	if err != nil {
		return 0, -1, dbError("begin", err)
	}
	fail := func(err error) (int64, int64, error) {
		_ = t.Rollback(context.WithoutCancel(ctx))
		return 0, -1, dbError("empty payloads", err)
	}
	seqs, next, err := r.due(ctx, t, tenant, keep, now, from)
	if err != nil {
		return fail(err)
	}
	digests, err := digestsOf(ctx, t, tenant, seqs)
	if err != nil {
		return fail(err)
	}
	if len(digests) == 0 {
		return 0, next, dbError("empty payloads", t.Rollback(ctx))
	}
	t.Queue(noHold(t.Dialect(), tenant))
	t.Queue(engine.Stmt{
		SQL: "UPDATE " + engine.Table(t.Dialect(), "event_parts") + " SET subject = NULL, ciphertext = NULL WHERE tenant_id = $1" +
			" AND ciphertext IS NOT NULL AND event_id IN (SELECT e.id FROM " + engine.Table(t.Dialect(), "events") +
			" e WHERE e.tenant_id = $1 AND e.seq IN " + numbers(t.Dialect(), 2) + ")",
		Args: []any{tenant, list(t.Dialect(), seqs)}, Rows: int64(len(digests)),
	})
	slices.SortFunc(digests, bytes.Compare)
	for chunk := range slices.Chunk(digests, maxErasedEach) {
		if err := r.log.queueErasedParts(ctx, t, tenant, bytes.Join(chunk, nil)); err != nil {
			return fail(err)
		}
	}
	return int64(len(digests)), next, dbError("empty payloads", t.Commit(ctx))
}

// due reads which events of a page are older than their classes allow.
func (r *Retention) due(
	ctx context.Context, t engine.Tx, tenant uuid.UUID, keep map[string]time.Duration, now time.Time, from int64,
) (seqs []int64, next int64, err error) {
	d := t.Dialect()
	where, args := r.covered(keep)
	args = append([]any{tenant, from, now.Add(-shortest(keep)).UnixMicro()}, args...)
	next = -1
	n := 0
	_, err = t.Run(ctx, engine.Stmt{
		SQL: "SELECT e.seq, e.leaf, e.at, e.action FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf >= 0" +
			" AND e.leaf >= $2 AND e.at < $3 AND e.action NOT IN " + clearActions + where + " AND EXISTS (SELECT 1 FROM " + engine.Table(d, "event_parts") +
			" p WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id AND p.ciphertext IS NOT NULL) ORDER BY e.leaf LIMIT " + strconv.Itoa(emptyEach),
		Args: args,
	}, engine.Continue, func(row engine.Row) error {
		var seq, leaf, at int64
		var action string
		if err := row.Scan(&seq, &leaf, &at, &action); err != nil {
			return err
		}
		if n++; n == emptyEach {
			next = leaf + 1
		}
		if stays, ok := keep[r.log.classOf(action).Name]; ok && now.Sub(time.UnixMicro(at)) >= stays {
			seqs = append(seqs, seq)
		}
		return nil
	})
	return seqs, next, err
}

// covered narrows to what may belong to a class that has a time. Which class it is
// the longest pattern decides, later.
func (r *Retention) covered(keep map[string]time.Duration) (where string, args []any) {
	var any []string
	for _, c := range r.log.Classes() {
		if _, ok := keep[c.Name]; !ok {
			continue
		}
		for _, a := range c.Actions {
			if a == anyAction {
				return "", nil
			}
			args = append(args, a)
			n := "$" + strconv.Itoa(3+len(args))
			if strings.HasSuffix(a, ".") {
				any = append(any, "substr(e.action, 1, length("+n+")) = "+n)
				continue
			}
			any = append(any, "e.action = "+n)
		}
	}
	return " AND (" + strings.Join(any, " OR ") + ")", args
}

func shortest(keep map[string]time.Duration) time.Duration {
	least := time.Duration(-1)
	for _, d := range keep {
		if least < 0 || d < least {
			least = d
		}
	}
	return least
}

// queueErasedParts is queueErasure beneath the transactions of package tenancy.
func (l *Log) queueErasedParts(ctx context.Context, t engine.Tx, tenant uuid.UUID, digests []byte) error {
	e, err := l.open(ctx, tenant, actionErase)
	if err != nil {
		return err
	}
	e.parts = []part{{ciphertext: digests}}
	return l.queue(ctx, t, e)
}

// digestsOf are those of the payloads of some events.
func digestsOf(ctx context.Context, t engine.Tx, tenant uuid.UUID, seqs []int64) (digests [][]byte, err error) {
	if len(seqs) == 0 {
		return nil, nil
	}
	d := t.Dialect()
	_, err = t.Run(ctx, engine.Stmt{
		SQL:  partSelect(d) + " WHERE e.tenant_id = $1 AND p.ciphertext IS NOT NULL AND e.seq IN " + numbers(d, 2),
		Args: []any{tenant, list(d, seqs)},
	}, engine.Continue, func(row engine.Row) error {
		p, err := scanPart(d, row)
		if err == nil {
			sum := partDigest(p.subject, p.ciphertext)
			digests = append(digests, sum[:])
		}
		return err
	})
	return digests, err
}
