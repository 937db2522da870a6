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
func (r *Retention) kept(p RetentionPolicy) map[*Class]time.Duration {
	keep := make(map[*Class]time.Duration)
	for _, c := range r.log.classes {
		d := c.Retention
		if own, ok := p.Classes[c.Name]; ok {
			d = own
		}
		if d > 0 {
			keep[c] = d
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
func (r *Retention) emptyPage(
	ctx context.Context, tenant uuid.UUID, keep map[*Class]time.Duration, now time.Time, from int64,
) (n, next int64, err error) {
	t, err := r.db.Engine(engine.Library).Begin(ctx, engine.Scope{Tenant: tenant, Closed: true})
	if err != nil {
		return 0, -1, dbError("begin", err)
	}
	fail := func(err error) (int64, int64, error) {
		_ = t.Rollback(context.WithoutCancel(ctx))
		return 0, -1, dbError("empty payloads", err)
	}
	rows, next, err := r.due(ctx, t, tenant, keep, now, from)
	if err != nil {
		return fail(err)
	}
	seqs, digests, err := intact(ctx, t, tenant, rows)
	if err != nil {
		return fail(err)
	}
	if len(digests) == 0 {
		return 0, next, dbError("empty payloads", t.Rollback(ctx))
	}
	t.Queue(noHold(t.Dialect(), tenant, 1))
	t.Queue(engine.Stmt{
		SQL: "UPDATE " + engine.Table(t.Dialect(), "event_parts") + " SET subject = NULL, ciphertext = NULL WHERE tenant_id = $1" +
			" AND ciphertext IS NOT NULL AND event_id IN (SELECT e.id FROM " + engine.Table(t.Dialect(), "events") +
			" e WHERE e.tenant_id = $1 AND e.seq IN " + numbers(t.Dialect()) + ")",
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

// due reads which events of a page are older than their classes allow. An event that
// is not as its writer has vouched for it stays: its time and action may be anybody's.
func (r *Retention) due(
	ctx context.Context, t engine.Tx, tenant uuid.UUID, keep map[*Class]time.Duration, now time.Time, from int64,
) (rows []*row, next int64, err error) {
	mac, err := r.log.mac(ctx)
	if err != nil {
		return nil, -1, err
	}
	d := t.Dialect()
	where, args := r.covered(keep)
	args = append([]any{tenant, from, now.Add(-shortest(keep)).UnixMicro()}, args...)
	next = -1
	n := 0
	_, err = t.Run(ctx, engine.Stmt{
		SQL: "SELECT " + eventColumns + " FROM " + engine.Table(d, "events") + " e WHERE e.tenant_id = $1 AND e.leaf >= 0" +
			" AND e.leaf >= $2 AND e.at < $3 AND e.action NOT IN " + clearActions + where + " AND EXISTS (SELECT 1 FROM " + engine.Table(d, "event_parts") +
			" p WHERE p.tenant_id = e.tenant_id AND p.event_id = e.id AND p.ciphertext IS NOT NULL) ORDER BY e.leaf LIMIT " + strconv.Itoa(emptyEach),
		Args: args,
	}, engine.Continue, func(x engine.Row) error {
		e, err := scanEvent(d, x)
		if err != nil {
			return err
		}
		if n++; n == emptyEach {
			next = e.at + 1
		}
		if stays, ok := keep[r.log.classOf(e.leaf.Action)]; ok && now.Sub(e.leaf.At) >= stays && e.vouched(mac) {
			rows = append(rows, e)
		}
		return nil
	})
	return rows, next, err
}

// covered narrows to what may belong to a class that has a time. Which class it is
// the longest pattern decides, later.
func (r *Retention) covered(keep map[*Class]time.Duration) (where string, args []any) {
	var among []string
	for a, c := range r.log.classes {
		if _, ok := keep[c]; !ok {
			continue
		}
		if a == anyAction {
			return "", nil
		}
		args = append(args, a)
		n := "$" + strconv.Itoa(3+len(args))
		if strings.HasSuffix(a, ".") {
			among = append(among, "substr(e.action, 1, length("+n+")) = "+n)
			continue
		}
		among = append(among, "e.action = "+n)
	}
	return " AND (" + strings.Join(among, " OR ") + ")", args
}

func shortest(keep map[*Class]time.Duration) time.Duration {
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

// intact reads the payloads of events, and returns those events whose payloads are
// what was sealed, with the digests of these. Another's payload that was put beside
// an event must not be erased in its name.
func intact(ctx context.Context, t engine.Tx, tenant uuid.UUID, rows []*row) (seqs []int64, digests [][]byte, err error) {
	if len(rows) == 0 {
		return nil, nil, nil
	}
	d := t.Dialect()
	all := make([]int64, len(rows))
	for i, r := range rows {
		all[i] = r.seq
	}
	parts := make(map[uuid.UUID][]readPart)
	_, err = t.Run(ctx, engine.Stmt{
		SQL:  partSelect(d) + " AND e.tenant_id = $1 AND p.ciphertext IS NOT NULL AND e.seq IN " + numbers(d),
		Args: []any{tenant, list(d, all)},
	}, engine.Continue, func(x engine.Row) error {
		p, err := scanPart(d, x)
		parts[p.event] = append(parts[p.event], p)
		return err
	})
	for _, r := range rows {
		if own := digestsOf(&r.leaf, parts[r.leaf.Event]); own != nil {
			seqs, digests = append(seqs, r.seq), append(digests, own...)
		}
	}
	return seqs, digests, err
}

// digestsOf are those of the parts, which must be in the leaf; nil where one is not.
func digestsOf(l *Leaf, parts []readPart) (digests [][]byte) {
	for _, p := range parts {
		sum := partDigest(p.subject, p.ciphertext)
		at := p.number * digestSize
		if p.odd || at < 0 || at+digestSize > int64(len(l.Digests)) || !bytes.Equal(l.Digests[at:at+digestSize], sum[:]) {
			return nil
		}
		digests = append(digests, sum[:])
	}
	return digests
}
