package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/session/sqlstore"
)

// packages looks at what an application may use or not.
func (d *doctor) packages(ctx context.Context, src source) {
	held, err := heldBy(ctx, src)
	if err != nil { // said already
		d.unchecked("TOM-2.3", "sessions", "the platform's database cannot be read")
		d.unchecked("TOM-9.2", "incidents", "the platform's database cannot be read")
		return
	}
	d.sessions(ctx, src, holds(held, sqlstore.Line()))
	d.incidents(ctx, src, holds(held, incident.Line()))
	d.outbox(ctx, src, holds(held, incident.Line()))
}

// keepEnded is how long a session may stay after its absolute limit: the day
// that session.Manager.Run waits, and its hourly round.
const keepEnded = 26 * time.Hour

// sessions looks for those that ended long ago and nobody deletes.
func (d *doctor) sessions(ctx context.Context, src source, used bool) {
	if !used {
		d.unused("TOM-2.3", "sessions", "there is no table of package session/sqlstore; art32 migrate makes it")
		return
	}
	before := time.Now().Add(-d.absolute - keepEnded)
	var stored, old int64
	err := each(ctx, src, uuid.Nil, func(r engine.Row) error { return r.Scan(&stored, &old) },
		"SELECT count(*), count(CASE WHEN created_at < $1 THEN 1 END) FROM "+engine.Table(src.dialect(), "sessions"), before.UnixMicro())
	switch {
	case err != nil:
		d.add("TOM-2.3", "sessions", bad(err.Error(), ""))
	case old > 0:
		d.add("TOM-2.3", "sessions", bad(fmt.Sprintf("%d of %d sessions ended more than a day ago and are still stored", old, stored),
			"run session.Manager.Run in the application, or name its absolute limit with --session-absolute"))
	default:
		d.note("TOM-2.3", "sessions", fmt.Sprintf("%d stored, none for longer than it should", stored))
	}
}
