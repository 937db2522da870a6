package keyring

import (
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
)

// census counts what a keystore holds, from its records in their order.
type census struct {
	tenants                             []uuid.UUID // the platform too
	subjects, erased, secrets           int64       // keys
	records, active, retired, destroyed int64       // versions
	oldest                              time.Time

	last  ref  // the key before, as far as it was looked at
	seals bool // a version of it that seals was seen
}

func (c *census) add(rec Record) {
	c.records++
	k := ref{tenant: rec.Tenant, name: rec.Name}
	if k != c.last {
		c.last, c.seals = k, false
		if rec.State == Erased && strings.HasPrefix(rec.Name, prefixSubject) {
			c.erased++
		}
	}
	switch rec.State {
	case Retired:
		c.retired++
	case Destroyed:
		c.destroyed++
	case Active:
		c.active++
		if !c.seals { // the first active one; later ones are introduced
			c.seals = true
			c.seal(rec)
		}
	case Erased:
	}
}

func (c *census) seal(rec Record) {
	switch {
	case rec.Name == nameRoot:
		return
	case strings.HasPrefix(rec.Name, prefixSecret):
		c.secrets++
		return
	case rec.Name == nameTenant:
		c.tenants = append(c.tenants, rec.Tenant)
	case strings.HasPrefix(rec.Name, prefixSubject):
		c.subjects++
	}
	if c.oldest.IsZero() || rec.Created.Before(c.oldest) {
		c.oldest = rec.Created
	}
}

func (c *census) attrs() []slog.Attr {
	out := []slog.Attr{
		slog.Int("tenants", len(c.tenants)), slog.Int64("subjects", c.subjects), slog.Int64("erased", c.erased),
		slog.Int64("secrets", c.secrets), slog.Int64("active", c.active), slog.Int64("retired", c.retired), slog.Int64("destroyed", c.destroyed),
	}
	if !c.oldest.IsZero() {
		out = append(out, slog.Time("oldest_key", c.oldest))
	}
	return out
}
