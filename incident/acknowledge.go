package incident

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

const (
	ackSecret = "incident/acknowledge"
	ackLabel  = "art32/incident/acknowledge/v1"
)

// Acknowledge records that the controller has received a notice. The token is the
// one in the notice's link, which stands in for an actor where the context has
// none. Repeating it changes nothing. It returns [ErrNotice] for a notice that was
// never written and for a wrong token.
func (d *Desk) Acknowledge(ctx context.Context, notice uuid.UUID, token string) error {
	if err := alone(ctx); err != nil {
		return err
	}
	want, err := d.ackToken(ctx, notice)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(want), []byte(token)) {
		return ErrNotice
	}
	rows, err := d.sealed(ctx, engine.Stmt{
		SQL:  "SELECT " + noticeColumns + " FROM " + d.table("incident_notices") + " n WHERE n.id = $1 AND n.body IS NOT NULL",
		Args: []any{notice},
	})
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return ErrNotice
	case rows[0].acknowledged:
		return nil
	}
	return d.acknowledge(ctx, rows[0].notice)
}

func (d *Desk) acknowledge(ctx context.Context, n Notice) error {
	if _, err := tenancy.ActorFrom(ctx); errors.Is(err, tenancy.ErrNoActor) {
		ctx = tenancy.WithActor(ctx, deskActor)
	}
	if err := d.note(ctx, n.Tenant, "incident.acknowledge",
		slog.String("case", n.Case.String()), slog.String("notice", n.ID.String())); err != nil {
		return err
	}
	return d.inTx(ctx, func(t engine.Tx) error {
		t.Queue(engine.Stmt{
			SQL:  "UPDATE " + d.table("incident_notices") + " SET acknowledged_at = $1 WHERE id = $2 AND acknowledged_at IS NULL",
			Args: []any{now().UnixMicro(), n.ID},
		})
		return nil
	})
}

// ackToken follows from the notice's id and a secret of the platform.
func (d *Desk) ackToken(ctx context.Context, notice uuid.UUID) (string, error) {
	secret, err := d.keys.Secret(ctx, uuid.Nil, ackSecret)
	if err != nil {
		return "", wrap("key", err)
	}
	defer clear(secret)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(ackLabel))
	h.Write(notice[:])
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)), nil
}

// ackLink is the address where a notice is acknowledged, or "".
func (d *Desk) ackLink(ctx context.Context, notice uuid.UUID) (string, error) {
	if d.opts.AckURL == "" {
		return "", nil
	}
	token, err := d.ackToken(ctx, notice)
	if err != nil {
		return "", err
	}
	return d.opts.AckURL + "?" + url.Values{"notice": {notice.String()}, "token": {token}}.Encode(), nil
}
