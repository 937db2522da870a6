package incident

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/tenancy"
)

// Run delivers what is due until ctx ends, and returns why it stopped; an error of
// the database ends it too, and the caller decides when to start it again. Any
// number may run: one works, the others wait to take over. A failed attempt is
// repeated after 30 s, 2 m, 10 m, 30 m and then each hour for a day; after that,
// or at once where the channel says that it is useless, it is given up, logged,
// and stays a task in [Desk.Status] until [Desk.Notify] puts it back. A desk
// touches messages for its own channels only, and returns [ErrNoChannel] where it
// has none.
func (d *Desk) Run(ctx context.Context) error {
	if len(d.opts.Notifiers) == 0 {
		return ErrNoChannel
	}
	return wrap("run", d.worker.Run(ctx, d.deliver))
}

// Deliver makes one attempt at what is due now and returns how many notices
// arrived, for callers with a schedule of their own. While another instance is at
// it, or without a channel, it returns 0.
func (d *Desk) Deliver(ctx context.Context) (int, error) {
	if len(d.opts.Notifiers) == 0 {
		return 0, nil
	}
	n, err := d.worker.RunDue(ctx, d.deliver)
	if errors.Is(err, lease.ErrHeld) {
		return n, nil
	}
	return n, wrap("deliver", err)
}

// kinds are those of the messages for the desk's channels. Others are left, with
// all their attempts, to desks that can make them.
func (d *Desk) kinds() []string {
	var kinds []string
	for _, channel := range slices.Sorted(maps.Keys(d.opts.Notifiers)) {
		kinds = append(kinds, kindOf(channel))
	}
	return kinds
}

func kindOf(channel string) string { return "incident.notice/" + channel }

// deliver makes one attempt. What it returns decides what becomes of the message.
func (d *Desk) deliver(ctx context.Context, m outbox.Message) error {
	var p payload
	if json.Unmarshal(m.Payload, &p) != nil {
		return &DeliveryError{Code: "bad_payload", Permanent: true}
	}
	notifier := d.opts.Notifiers[p.Channel]
	if notifier == nil {
		return &DeliveryError{Code: "no_channel"} // unreachable: its kind says the same
	}
	n, due, err := d.due(ctx, p, m.ID)
	if err != nil || !due {
		return err
	}
	d.step("claimed")
	if err := notifier.Notify(ctx, n); err != nil {
		return err
	}
	d.step("sent")
	return d.arrived(ctx, n, p.Channel, m)
}

// due loads the notice of a message; false when it need not be sent any more:
// it was before a crash, or another round has begun.
func (d *Desk) due(ctx context.Context, p payload, message uuid.UUID) (Notice, bool, error) {
	rows, err := d.sealed(ctx, engine.Stmt{
		SQL: "SELECT " + noticeColumns + " FROM " + d.table("incident_notices") + " n JOIN " + d.table("incident_deliveries") +
			" d ON d.notice_id = n.id WHERE d.notice_id = $1 AND d.channel = $2 AND d.message_id = $3 AND d.delivered_at IS NULL",
		Args: []any{p.Notice, p.Channel, message},
	})
	if err != nil || len(rows) == 0 {
		return Notice{}, false, err
	}
	n, err := d.unseal(ctx, rows[0])
	if err == nil {
		n.To, err = d.contact(ctx, n.Tenant)
	}
	return n, err == nil, err
}

// contact is that of a tenant.
func (d *Desk) contact(ctx context.Context, tenant tenancy.ID) (c Contact, err error) {
	var body []byte
	err = d.read(ctx, engine.Stmt{
		SQL: "SELECT body FROM " + d.table("incident_contacts") + " WHERE tenant_id = $1", Args: []any{tenant.UUID()},
	}, func(r engine.Row) error { return r.Scan(&body) })
	switch {
	case err != nil:
		return c, err
	case body == nil:
		return c, &DeliveryError{Code: "no_contact"}
	}
	var s storedContact
	err = d.open(ctx, tenant, "incident_contacts", tenant.UUID(), body, &s)
	return Contact(s), err
}

// markTime is for the mark, also after the end of the attempt.
const markTime = 10 * time.Second

// arrived records that a notice was taken over, and marks it, also when whoever
// delivers is being stopped: the channel has it. What cannot be recorded counts as
// not delivered, and comes again under the same id.
func (d *Desk) arrived(ctx context.Context, n Notice, channel string, m outbox.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	if err := d.note(tenancy.WithActor(ctx, deskActor), n.Tenant, "incident.deliver", slog.String("case", n.Case.String()),
		slog.String("notice", n.ID.String()), slog.String("channel", channel), slog.Int("attempt", m.Attempt)); err != nil {
		return err
	}
	d.step("noted")
	err := d.inTx(ctx, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + d.table("incident_deliveries") + " SET delivered_at = $1 WHERE message_id = $2 AND delivered_at IS NULL",
			Args: []any{now().UnixMicro(), m.ID},
		})
		return nil
	})
	d.step("marked")
	return err
}

// dead turns a message that is given up into a task, in the transaction that
// gives it up.
func (d *Desk) dead(ctx context.Context, tx *sql.Tx, m outbox.Message) error {
	query := "UPDATE " + d.table("incident_deliveries") + " SET dead_at = $1 WHERE message_id = $2 AND delivered_at IS NULL" //nolint:gosec // a constant name
	_, err := tx.ExecContext(ctx, query, now().UnixMicro(), m.ID.String())
	if err == nil {
		d.opts.Logger.ErrorContext(ctx, "incident: a notice is given up: tell the controller another way, or mend the channel and notify again",
			slog.String("message", m.ID.String()))
	}
	return err
}
