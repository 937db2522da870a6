// Package outbox carries what leaves the system: a message is written in the
// transaction of the data it speaks of and delivered by a worker afterwards.
//
// It supports TOM-9.2 (incidents are told without undue delay). [Enqueue] gives
// the statement to run beside the data; [Worker.Run] delivers what is due,
// repeats what fails and ends with a dead message, of which [Worker.Dead] tells
// somebody.
//
// # Guarantees
//
// A message exists if and only if its transaction has committed, and stays due
// until it is delivered or dead: none is lost. Delivery is at least once, under
// an id that never changes: after a crash between delivery and its mark, or
// when a lease is lost meanwhile, the same message comes again, so the receiver
// must discard ids that it has seen. Without a crash each message is delivered
// once, however many workers run. An attempt is counted before it is made, so
// that a message which kills its worker ends as dead too.
//
// # Not covered
//
// Order: messages go out by due time, side by side, and a failed one later than
// its followers. Secrecy: the payload lies in the database as it was given; the
// caller must encrypt what is personal. Due times are set and judged by the
// clocks of the processes: their skew moves a delivery by as much, no more.
//
// # Compatibility
//
// The tables art32.outbox (PostgreSQL) and art32_outbox (SQLite) keep their
// columns. On PostgreSQL row security shows art32_library the tenant of the
// setting art32.tenant; with art32.worker set to "outbox" it may read all
// tenants' messages and delete delivered ones.
package outbox

import (
	"embed"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/migrate"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the line "outbox", which owns the table of messages. The
// line "lease" must be there too.
func Migrations() migrate.Line {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return migrate.Line{Name: "outbox"} // unreachable; such a line is an error
	}
	return migrate.Line{Name: "outbox", FS: sub}
}

// Message is what leaves the system.
type Message struct {
	// ID is what the receiver recognises a repetition by; a zero ID becomes a
	// random one. It is unique within its tenant.
	ID uuid.UUID

	// Tenant is whom the message belongs to.
	Tenant uuid.UUID

	// Kind tells deliver what to do with the payload, as in "incident.notice".
	Kind string

	// Payload is stored as it is.
	Payload []byte

	// Created and Due are the times of Enqueue and of the first attempt; zero
	// means now. They are kept to the microsecond.
	Created, Due time.Time

	// Attempt is the number of the attempt that deliver is called for, from 1.
	// Enqueue ignores it.
	Attempt int
}

// Enqueue returns the statement, with placeholders $1…, that writes m; the
// caller runs it in the transaction of the data. A message whose id the tenant
// has already is left as it is, so that a sequence may be run again. On
// PostgreSQL the transaction must have set art32.tenant to m.Tenant.
func Enqueue(d migrate.Dialect, m Message) (query string, args []any) {
	if m.ID == uuid.Nil {
		m.ID = uuid.New()
	}
	if m.Created.IsZero() {
		m.Created = time.Now()
	}
	if m.Due.IsZero() {
		m.Due = m.Created
	}
	if m.Payload == nil {
		m.Payload = []byte{}
	}
	s := dialects[d]
	return s.enqueue, []any{m.Tenant.String(), m.ID.String(), m.Kind, m.Payload, s.time(m.Created), s.time(m.Due)}
}
