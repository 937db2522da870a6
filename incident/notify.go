package incident

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/tenancy"
)

// firstNotice is the number of the notice that Notify writes.
const firstNotice = 1

// stored is the body of a notice: what every attempt sends.
type stored struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	JSON    []byte `json:"json"`
	Ack     string `json:"ack,omitempty"`
}

// Notify writes one notice per affected tenant and puts it into the queue of each
// channel, all in one transaction. It returns the notices of the case, without
// contact. Repeating it is safe: what was written stays as it is, affected tenants
// that were found since, or have a contact since, get their notice, and what was
// given up is tried again. A case that was closed is open again.
//
// The context must give an actor and a reason. Beside the notices it returns a
// [*NoContactError] for tenants without contact, a [*TenantError] for those that
// could not be counted or served, and [ErrNobody] for a case that touches nobody:
// all of them stay tasks in [Desk.Status], and the caller must see to them.
func (d *Desk) Notify(ctx context.Context, id uuid.UUID) ([]Notice, error) {
	if _, err := byPerson(ctx); err != nil {
		return nil, err
	}
	if len(d.opts.Notifiers) == 0 {
		return nil, ErrNoChannel
	}
	c, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	known, err := d.known(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	all, failed, err := d.affected(ctx, &c, known)
	if err != nil {
		return nil, err
	}
	d.step("scanned")
	b, err := d.prepare(ctx, &c, all, known, failed)
	if err != nil {
		return nil, err
	}
	if err := d.enqueue(ctx, &c, b); err != nil {
		return nil, err
	}
	d.step("committed")
	notices, err := d.notices(ctx, c.ID, failed)
	return notices, errors.Join(err, b.missing(), failed.orNil())
}

// prepared is what goes into the queue.
type prepared struct {
	rows      []noticeRow
	again     []deliveryRow // that nothing carries any more
	noContact []tenancy.ID
	uncounted int
}

// noticeRow is a notice to be written; without a body it was written before, or
// wants something.
type noticeRow struct {
	id     uuid.UUID
	tenant tenancy.ID
	body   []byte
	made   bool     // before
	wants  TaskKind // "" also for a tenant that is not affected after all
}

func (b *prepared) add(c *Case, tenant tenancy.ID, wants TaskKind) *noticeRow {
	b.rows = append(b.rows, noticeRow{id: noticeID(c.ID, tenant, firstNotice), tenant: tenant, wants: wants})
	return &b.rows[len(b.rows)-1]
}

// missing says who is not told although somebody must be, or may have to be.
func (b *prepared) missing() error {
	if len(b.noContact) > 0 {
		return &NoContactError{Tenants: b.noContact}
	}
	if !slices.ContainsFunc(b.rows, func(r noticeRow) bool { return r.made || r.body != nil || r.wants != "" }) {
		return ErrNobody
	}
	return nil
}

// prepare writes the notices that are not written yet. A tenant that cannot be
// counted, or whose notice cannot be written, keeps nobody else waiting.
func (d *Desk) prepare(ctx context.Context, c *Case, all []Affected, known *knownTenants, failed *TenantError) (b *prepared, err error) {
	contacts, err := d.contacts(ctx)
	if err != nil {
		return nil, err
	}
	b = &prepared{}
	if b.again, err = d.givenUp(ctx, c.ID); err != nil {
		return nil, err
	}
	for _, id := range known.order {
		switch {
		case known.told[id]:
			b.add(c, id, "").made = true
		case !known.closed[id] && !slices.Contains(failed.Tenants, id) && !slices.ContainsFunc(all, func(a Affected) bool { return a.Tenant == id }):
			b.add(c, id, "")
		}
	}
	for _, a := range all {
		if !contacts[a.Tenant] {
			b.noContact = append(b.noContact, a.Tenant)
			b.add(c, a.Tenant, TaskContact)
			continue
		}
		body, err := d.write(ctx, c, &a)
		if err != nil {
			failed.add(a.Tenant, err)
			continue
		}
		b.add(c, a.Tenant, "").body = body
	}
	for _, id := range failed.Tenants {
		if !slices.ContainsFunc(b.rows, func(r noticeRow) bool { return r.tenant == id }) {
			b.add(c, id, TaskCount)
			b.uncounted++
		}
	}
	return b, nil
}

// write makes the notice to one tenant and seals it under that tenant's key.
func (d *Desk) write(ctx context.Context, c *Case, a *Affected) ([]byte, error) {
	id := noticeID(c.ID, a.Tenant, firstNotice)
	ack, err := d.ackLink(ctx, id)
	if err != nil {
		return nil, err
	}
	doc := d.compose(c, a, firstNotice, now().In(d.opts.Location), ack)
	s := stored{Subject: subject(c.ID, firstNotice), Ack: ack}
	if s.Text, err = doc.text(); err != nil {
		return nil, wrap("write notice", err)
	}
	if s.JSON, err = doc.json(); err != nil {
		return nil, wrap("write notice", err)
	}
	return d.seal(ctx, a.Tenant, "incident_notices", id, s)
}

// subject says what it is and nothing of the case: it travels and is stored by
// others in clear.
func subject(c uuid.UUID, number int) string {
	return "Meldung nach Art. 33 Abs. 2 DSGVO / notice under Art. 33(2) GDPR [" + c.String()[:8] + "-" + strconv.Itoa(number) + "]"
}

// enqueue records what is about to leave, and writes it in one transaction.
func (d *Desk) enqueue(ctx context.Context, c *Case, b *prepared) error {
	if err := d.recorder.Record(platform(ctx), "incident.notify", slog.String("case", c.ID.String()),
		slog.Int("affected", len(b.rows)), slog.Int("without_contact", len(b.noContact)),
		slog.Int("uncounted", b.uncounted), slog.Int("again", len(b.again))); err != nil {
		return wrap("record", err)
	}
	d.step("recorded")
	return d.inTx(ctx, func(t engine.Tx) error {
		at := now().UnixMicro()
		for _, r := range b.again {
			d.queueAgain(t, r, at)
		}
		for _, r := range b.rows {
			d.queueNotice(t, c.ID, r, at)
		}
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + d.table("incident_cases") + " SET notified_at = COALESCE(notified_at, $1), closed_at = NULL WHERE id = $2",
			Args: []any{at, c.ID},
		})
		d.step("queued")
		return nil
	})
}

// queueNotice writes a notice unless another Notify was faster, and queues it on
// each channel where it is not yet. Where something is missing there is nothing to
// queue, and the row keeps what.
func (d *Desk) queueNotice(t engine.Tx, id uuid.UUID, r noticeRow, at int64) {
	notices := d.table("incident_notices")
	t.Queue(engine.Stmt{
		SQL:  "INSERT INTO " + notices + " (id, case_id, tenant_id, number, found_at, wants) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
		Args: []any{r.id, id, r.tenant.UUID(), int64(firstNotice), at, string(r.wants)},
	})
	if r.body == nil && !r.made {
		t.Queue(engine.Stmt{SQL: "UPDATE " + notices + " SET wants = $1 WHERE id = $2 AND body IS NULL", Args: []any{string(r.wants), r.id}})
		return
	}
	if r.body != nil {
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + notices + " SET body = $1, made_at = $2, closed_at = NULL WHERE id = $3 AND body IS NULL",
			Args: []any{r.body, at, r.id},
		})
	}
	for _, channel := range slices.Sorted(maps.Keys(d.opts.Notifiers)) {
		t.Queue(engine.Stmt{
			SQL: "INSERT INTO " + d.table("incident_deliveries") + " (notice_id, channel, round, message_id, queued_at)" +
				" VALUES ($1, $2, 0, $3, $4) ON CONFLICT DO NOTHING",
			Args: []any{r.id, channel, messageID(r.id, channel, 0), at},
		})
		t.Queue(d.message(r.id, channel, 0))
	}
}

// queueAgain begins another round for what was given up, unless another Notify
// has begun it, or the channel has taken it over after all.
func (d *Desk) queueAgain(t engine.Tx, r deliveryRow, at int64) {
	next := messageID(r.notice, r.channel, r.round+1)
	t.Queue(engine.Stmt{
		SQL: "UPDATE " + d.table("incident_deliveries") + " SET round = $1, message_id = $2, queued_at = $3, dead_at = NULL" +
			" WHERE notice_id = $4 AND channel = $5 AND round = $6 AND delivered_at IS NULL",
		Args: []any{r.round + 1, next, at, r.notice, r.channel, r.round},
	})
	t.Queue(d.message(r.notice, r.channel, r.round+1))
}

// payload is what a message holds: ids only.
type payload struct {
	Notice  uuid.UUID `json:"notice"`
	Channel string    `json:"channel"`
}

func (d *Desk) message(notice uuid.UUID, channel string, round int64) engine.Stmt {
	body, err := json.Marshal(payload{notice, channel})
	if err != nil {
		body = nil // unreachable: an id and a word
	}
	query, args := outbox.Enqueue(d.worker.Dialect, outbox.Message{ID: messageID(notice, channel, round), Kind: kindOf(channel), Payload: body})
	return engine.Stmt{SQL: query, Args: args}
}
