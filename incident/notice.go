package incident

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/google/uuid"

	"github.com/art32/art32/tenancy"
)

// Contact is who is told at a tenant. For package fmt, loggers and encoding/json
// it shows nothing.
type Contact struct {
	Name string // one line of 1 to 200 characters
	Mail string // a plain address
}

// Notice is one message to one controller. For package fmt, loggers and
// encoding/json it shows its id only.
type Notice struct {
	ID      uuid.UUID // by which a repetition is recognised
	Case    uuid.UUID
	Tenant  tenancy.ID
	Number  int     // within case and tenant, from 1
	To      Contact // as it is when the notice is delivered
	Subject string  // one line without data of the case
	Text    string  // German and English, lines end in \n
	JSON    []byte  // the same for machines, docs/formats/notice.md
	Ack     string  // the page where it is acknowledged, or empty
}

// Notifier carries notices over one channel. It is safe for concurrent use.
type Notifier interface {
	// Notify hands n to the channel and returns nil once the channel has taken
	// it over. The same notice may come again, with equal content: the receiver
	// must be able to recognise its ID. It must call [Notice.Check] or do as
	// much, return when ctx ends, and return a [*DeliveryError] where that says
	// more. The cause of an error is not stored.
	Notify(ctx context.Context, n Notice) error
}

// Check refuses with [ErrReport] a notice that lacks an id or a text, or whose
// lines hold anything that a mail header, a file name or a terminal would obey.
func (n *Notice) Check() error {
	if n.ID == uuid.Nil || n.Text == "" || len(n.JSON) == 0 {
		return fmt.Errorf("%w: notice: id, text and JSON are required", ErrReport)
	}
	if err := checkLine("subject", n.Subject, true); err != nil {
		return err
	}
	return n.To.check()
}

func (c *Contact) check() error {
	if err := checkLine("contact's name", c.Name, true); err != nil {
		return err
	}
	return checkMail("contact's mail", c.Mail)
}

// String hides the contact.
func (c Contact) String() string { return "[contact]" }

// GoString hides the contact.
func (c Contact) GoString() string { return c.String() }

// Format implements [fmt.Formatter]: every verb hides the contact.
func (c Contact) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// LogValue implements [slog.LogValuer].
func (c Contact) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText hides the contact.
func (c Contact) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalJSON hides the contact.
func (c Contact) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// String is the notice's id.
func (n Notice) String() string { return "notice " + n.ID.String() }

// GoString is the notice's id.
func (n Notice) GoString() string { return n.String() }

// Format implements [fmt.Formatter]: every verb shows the id.
func (n Notice) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, n.String()) }

// LogValue implements [slog.LogValuer].
func (n Notice) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText is the notice's id.
func (n Notice) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// MarshalJSON is the notice's id; the form for machines is the field JSON.
func (n Notice) MarshalJSON() ([]byte, error) { return json.Marshal(n.String()) }

const (
	noticeLabel  = "art32/incident/notice/v1"
	messageLabel = "art32/incident/message/v1"
)

// noticeID follows from case, tenant and number, so that a repetition finds it.
func noticeID(c uuid.UUID, tenant tenancy.ID, number int) uuid.UUID {
	id := tenant.UUID()
	return derived(noticeLabel, c[:], id[:], count(number))
}

// messageID is the id of a notice's message in the outbox. A round begins when
// somebody puts a message back that was given up.
func messageID(notice uuid.UUID, channel string, round int64) uuid.UUID {
	return derived(messageLabel, notice[:], count(int(round)), []byte(channel))
}

func count(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// derived is a UUID of version 8 (RFC 9562) from a hash. All parts but the last
// have a fixed length.
func derived(label string, parts ...[]byte) uuid.UUID {
	h := sha256.New()
	h.Write([]byte(label))
	for _, p := range parts {
		h.Write(p)
	}
	id := uuid.UUID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
