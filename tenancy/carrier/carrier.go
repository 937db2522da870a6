package carrier

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// ErrRefused says that a text opens no context: it is none, was changed, was sealed
// for another purpose or under another keystore, or has expired. Which it was is of
// use to an attacker only.
var ErrRefused = errors.New("carrier: refused")

// MaxLife is the longest life that a text can have.
const MaxLife = 30 * 24 * time.Hour

const (
	prefix    = "a32c1."
	mostBytes = 16 << 10 // of a text
	secret    = "carrier"
)

var purposeForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._/-]{0,99}$`)

// Options adjusts [New]. Nil and zero fields mean the defaults.
type Options struct {
	// Logger receives why a handler answered 503. Default: [slog.Default].
	Logger *slog.Logger
}

// Carrier seals and opens for one purpose. It is safe for concurrent use.
type Carrier struct {
	keys    *keyring.Ring
	purpose string
	logger  *slog.Logger
}

// New returns the carrier of a purpose: 1 to 100 lower-case letters, digits and
// . _ / -, such as "queue/mail".
func New(keys *keyring.Ring, purpose string, o *Options) (*Carrier, error) {
	if keys == nil {
		return nil, errors.New("carrier: new: keys must not be nil")
	}
	if !purposeForm.MatchString(purpose) {
		return nil, fmt.Errorf("carrier: new: purpose %q is not of lower-case letters, digits and . _ / -", purpose)
	}
	c := &Carrier{keys: keys, purpose: purpose}
	if o != nil {
		c.logger = o.Logger
	}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	return c, nil
}

// content is what a text holds.
type content struct {
	Tenant  tenancy.ID `json:"tenant"`
	Actor   string     `json:"actor,omitempty"`
	Session string     `json:"session,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Expires int64      `json:"expires"` // milliseconds since 1970
}

// Seal returns a text that opens as the tenant of ctx with its actor, session and
// reason, for life, from now and at most [MaxLife]. It has up to 16 KiB of letters,
// digits, "-", "_" and ".".
func (c *Carrier) Seal(ctx context.Context, life time.Duration) (string, error) {
	if life <= 0 || life > MaxLife {
		return "", fmt.Errorf("carrier: seal: life %v is not above 0 and at most %v", life, MaxLife)
	}
	tenant, err := tenancy.TenantFrom(ctx)
	if err != nil {
		return "", err
	}
	in := content{
		Tenant: tenant, Session: tenancy.SessionFrom(ctx), Reason: tenancy.ReasonFrom(ctx),
		Expires: time.Now().Add(life).UnixMilli(),
	}
	if a, err := tenancy.ActorFrom(ctx); err == nil {
		in.Actor = a.String()
	}
	plain, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	cipher, err := c.cipher(ctx)
	if err != nil {
		return "", err
	}
	sealed, err := cipher.Seal(nil, plain, c.scope())
	if err != nil {
		return "", err
	}
	text := prefix + base64.RawURLEncoding.EncodeToString(sealed)
	if len(text) > mostBytes {
		return "", errors.New("carrier: seal: the reason is too long")
	}
	return text, nil
}

// Open returns ctx with the tenant, actor, session and reason that text was sealed
// with; those that it has not are none, also where ctx has them. It returns
// [ErrRefused], [tenancy.ErrOtherTenant] where ctx has another tenant, or the
// keystore's error.
func (c *Carrier) Open(ctx context.Context, text string) (context.Context, error) {
	in, err := c.read(ctx, text)
	if err != nil {
		return nil, err
	}
	var actor tenancy.Actor
	if in.Actor != "" {
		if actor, err = tenancy.ParseActor(in.Actor); err != nil {
			return nil, ErrRefused
		}
	}
	if id, err := tenancy.TenantFrom(ctx); err == nil && id != in.Tenant {
		return nil, fmt.Errorf("carrier: open: %w", tenancy.ErrOtherTenant)
	}
	ctx = tenancy.WithActor(tenancy.WithTenant(ctx, in.Tenant), actor)
	return tenancy.WithReason(tenancy.WithSession(ctx, in.Session), in.Reason), nil
}

func (c *Carrier) read(ctx context.Context, text string) (content, error) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) > mostBytes || strings.ContainsAny(body, "\r\n") { // which base64 would pass over
		return content{}, ErrRefused
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil {
		return content{}, ErrRefused
	}
	cipher, err := c.cipher(ctx)
	if err != nil {
		return content{}, err
	}
	in, err := c.unsealed(cipher, sealed)
	if err != nil || in.Tenant.IsZero() || time.Now().UnixMilli() >= in.Expires {
		return content{}, ErrRefused
	}
	return in, nil
}

func (c *Carrier) unsealed(cipher *field.Cipher, sealed []byte) (in content, err error) {
	plain, err := cipher.Open(nil, sealed, c.scope())
	if err == nil {
		err = json.Unmarshal(plain, &in)
	}
	return in, err
}

// cipher is that of the platform's secret for carriers.
func (c *Carrier) cipher(ctx context.Context) (*field.Cipher, error) {
	key, err := c.keys.Secret(ctx, uuid.Nil, secret)
	if err != nil {
		return nil, fmt.Errorf("carrier: %w", err)
	}
	defer clear(key)
	return field.NewCipher(1, key)
}

// scope binds a text to its purpose.
func (c *Carrier) scope() field.Scope {
	return field.Scope{Tenant: uuid.Nil.String(), Table: "art32.carrier", Column: c.purpose, Row: "v1"}
}
