package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/incident/deadline"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/tenancy"
)

// Tracer counts from a log what was done to the rows of the context's tenant;
// *audit.Log is one.
type Tracer interface {
	// Trace counts what matches q in the log of the context's tenant. Where
	// entries of the log are missing, or it contradicts itself, it returns what is
	// left beside an error that is tenancy.ErrDamagedLog.
	Trace(ctx context.Context, db *tenancy.DB, q tenancy.TraceQuery) (tenancy.Trace, error)
}

// Recorder leaves a trace of what the desk does; *audit.Recorder is one.
type Recorder interface {
	// Record writes into the log of the context's tenant, or the platform's
	// without one. The caller must not perform the action if an error is returned.
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Options are the choices of a [Desk]; nil and zero fields mean the defaults.
type Options struct {
	// Notifiers are the channels by their names, words of the code such as
	// "smtp"; each notice goes over all of them. Default: none; such a desk opens
	// and shows cases, and its Notify returns [ErrNoChannel].
	Notifiers map[string]Notifier
	// Location is the time zone of the controllers. Default: Europe/Berlin.
	Location *time.Location
	// Rules are the periods of the controller for telling the authority, each with
	// a norm and positive hours. Default: [deadline.Authority].
	Rules []deadline.Rule
	// Targets are those of the contract. Default: [deadline.Default].
	Targets deadline.Targets
	// AckURL is where [Desk.AckHandler] is served, an https URL without query.
	// Default: notices ask for an answer by mail.
	AckURL string
	// Logger receives what an operator must read once. Default: slog.Default().
	Logger *slog.Logger
}

// Desk keeps the cases of one vendor. It is safe for concurrent use, and any
// number may work on one database.
type Desk struct {
	db       *tenancy.DB
	keys     *keyring.Ring
	trail    Tracer
	recorder Recorder
	vendor   Vendor
	opts     Options
	worker   outbox.Worker
	step     func(name string) // tests of crashes
}

// deskActor acts where no person does: it delivers, and takes what comes by a link.
var deskActor = tenancy.MustService("incident/desk")

var channelName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// New makes the desk of a vendor over a database that has the line of [Line].
func New(db *tenancy.DB, keys *keyring.Ring, trail Tracer, r Recorder, v Vendor, o *Options) (*Desk, error) {
	for name, c := range map[string]any{"database": db, "keys": keys, "trail": trail, "recorder": r} {
		if rv := reflect.ValueOf(c); !rv.IsValid() || rv.Kind() == reflect.Pointer && rv.IsNil() {
			return nil, fmt.Errorf("incident: new: %s must not be nil", name)
		}
	}
	if err := v.check(); err != nil {
		return nil, fmt.Errorf("incident: new: %w", err)
	}
	opts, err := o.orDefault()
	if err != nil {
		return nil, fmt.Errorf("incident: new: %w", err)
	}
	d := &Desk{db: db, keys: keys, trail: trail, recorder: r, vendor: v, opts: opts, step: func(string) {}}
	eng := db.Engine(engine.Library)
	d.worker = outbox.Worker{DB: eng.Platform(), Dialect: eng.Dialect(), Kinds: d.kinds(), Dead: d.dead}
	return d, nil
}

func (o *Options) orDefault() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Location == nil {
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			return out, errors.New("time zone Europe/Berlin not found: set Options.Location or import time/tzdata")
		}
		out.Location = berlin
	}
	if out.Rules == nil {
		out.Rules = deadline.Authority()
	}
	if out.Targets == (deadline.Targets{}) {
		out.Targets = deadline.Default()
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out, out.check()
}

func (o *Options) check() error {
	if o.Targets.FirstNotice <= 0 || o.Targets.Escalation < o.Targets.FirstNotice {
		return errors.New("targets: the first notice needs a positive one, and escalation comes not before it")
	}
	for name, n := range o.Notifiers {
		if n == nil || !channelName.MatchString(name) {
			return errors.New("a notifier is nil, or its name does not match " + channelName.String())
		}
	}
	for _, r := range o.Rules {
		if checkLine("norm", r.Norm, true) != nil || r.Hours <= 0 || r.Hours > maxHours || !r.Until.IsZero() && !r.From.Before(r.Until) {
			return errors.New("rules: each needs a norm of one line, 1 to 8784 hours, and an end after its beginning")
		}
	}
	if o.AckURL != "" && !isAckURL(o.AckURL) {
		return errors.New("the address of the acknowledgement must be an https URL without query")
	}
	return nil
}

const maxHours = 366 * 24

// isAckURL reports whether parameters may be put behind text.
func isAckURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && !strings.ContainsAny(text, "?#") && printable(text, maxLine, "")
}

// alone refuses to work inside a transaction, which could roll back what was
// recorded.
func alone(ctx context.Context) error {
	if tenancy.TxFrom(ctx) != nil {
		return fmt.Errorf("incident: %w", tenancy.ErrTxInUse)
	}
	return nil
}

// byPerson wants an actor and a reason, and no transaction.
func byPerson(ctx context.Context) (tenancy.Actor, error) {
	actor, err := tenancy.ActorFrom(ctx)
	if err != nil {
		return actor, fmt.Errorf("incident: %w", err)
	}
	if tenancy.ReasonFrom(ctx) == "" {
		return actor, ErrNoReason
	}
	return actor, alone(ctx)
}

// note records in a tenant's log. Where that is shut or broken, it records in the
// platform's: a notice that has arrived must not arrive again and again because
// nobody can write that down.
func (d *Desk) note(ctx context.Context, tenant tenancy.ID, action string, attrs ...slog.Attr) error {
	err := d.recorder.Record(tenancy.WithTenant(ctx, tenant), action, attrs...)
	if err == nil {
		return nil
	}
	attrs = append(attrs, slog.String("tenant", tenant.String()))
	if other := d.recorder.Record(platform(ctx), action, attrs...); other != nil {
		return wrap("record", errors.Join(err, other))
	}
	return nil
}

// platform is ctx for the log of the platform.
func platform(ctx context.Context) context.Context { return tenancy.WithTenant(ctx, tenancy.ID{}) }
