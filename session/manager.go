package session

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

const defaultPoll = 5 * time.Second

// Options are the choices of a [Manager]; nil and zero fields mean the defaults.
type Options struct {
	// Policy is how long sessions last. Default 30 minutes idle, 12 hours at all.
	Policy Policy
	// SameSite of the cookie: [http.SameSiteLaxMode], the default, or
	// [http.SameSiteStrictMode], with which a link from elsewhere arrives without
	// session. None other is possible.
	SameSite http.SameSite
	// TrustedOrigins may send requests that change something although they are
	// other sites, as in "https://admin.example.com". Default: none.
	TrustedOrigins []string
	// Poll is how often [Manager.Run] asks the store whether the sessions of
	// running requests were revoked elsewhere: they end so much later, and by what
	// the store takes to answer. Default 5 seconds.
	Poll time.Duration
	// Logger receives what an operator must read once. Default [slog.Default].
	Logger *slog.Logger
}

// Manager opens, checks and ends sessions. It is safe for concurrent use; one
// serves all tenants of a process. It starts nothing by itself.
type Manager struct {
	store    Store
	recorder Recorder
	policy   Policy
	sameSite http.SameSite
	csrf     *http.CrossOriginProtection
	poll     time.Duration
	logger   *slog.Logger
	tel      telemetry

	node     node
	batching atomic.Bool // Run is under way
	reads    health
	touches  health
	expiries health
	ending   [64]sync.Mutex // by a session's id: it expires once on this node
}

// New makes a manager that keeps sessions in store and leaves their events in
// recorder; neither may be nil. It returns an error for options that cannot be
// meant.
func New(store Store, recorder Recorder, o *Options) (*Manager, error) {
	if absent(store) || absent(recorder) {
		return nil, errors.New("session: new: store and recorder must not be nil")
	}
	if o == nil {
		o = &Options{}
	}
	m := &Manager{
		store: store, recorder: recorder, sameSite: o.SameSite, poll: o.Poll, logger: o.Logger,
		csrf:  http.NewCrossOriginProtection(),
		reads: health{work: "lookup"}, touches: health{work: "touch"}, expiries: health{work: "expire"},
	}
	m.node.init()
	if err := m.configure(o); err != nil {
		return nil, fmt.Errorf("session: new: %w", err)
	}
	var err error
	m.tel, err = newTelemetry()
	return m, err
}

func (m *Manager) configure(o *Options) (err error) {
	if m.policy, err = o.Policy.orDefault(); err != nil {
		return err
	}
	if m.sameSite == 0 {
		m.sameSite = http.SameSiteLaxMode
	}
	if m.sameSite != http.SameSiteLaxMode && m.sameSite != http.SameSiteStrictMode {
		return errors.New("SameSite must be Lax or Strict")
	}
	if m.poll == 0 {
		m.poll = defaultPoll
	}
	if m.poll < 0 {
		return errors.New("poll is negative")
	}
	if m.logger == nil {
		m.logger = slog.Default()
	}
	for _, origin := range o.TrustedOrigins {
		if err := m.csrf.AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("trusted origins: %w", err)
		}
	}
	return nil
}

// absent finds nil, also inside an interface.
func absent(v any) bool {
	rv := reflect.ValueOf(v)
	return !rv.IsValid() || rv.Kind() == reflect.Pointer && rv.IsNil()
}
