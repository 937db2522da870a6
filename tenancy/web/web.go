// Package web finds the tenant of an HTTP request, where no session names it yet: by
// host name, path, or whatever the application has verified.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung"): a request whose tenant is not certain is not served.
//
// Make a [Gate] of a function that finds the tenant, and wrap what is the tenants':
//
//	gate, err := web.New(web.Host(tenants.ByHost), nil)
//	http.ListenAndServeTLS(addr, cert, key, sessions.Middleware(gate.Handler(mux)))
//
// Package session puts the tenant of the person who is logged in into the context by
// itself; an application all of whose pages are behind a login needs no gate. With both,
// the gate stands inside, as above: the login page then has a tenant, and a session of
// one tenant opens nothing under the name of another. Requests of one's own services
// carry their context in package tenancy/carrier, and need no gate either.
//
// # Guarantees
//
// Without a tenant the handler is not called: 404, the same for a name that is not
// known, one that is closed, and one that is not the session's; 503 while it cannot be
// looked up. A tenant that the context has already is never replaced.
//
// # Not covered
//
// A gate around the session's middleware: the session's tenant then takes the place of
// the gate's. Whether the visitor may be there: a name in an address says whose page is asked for,
// and nothing about who asks. What the function believes: it must not read a header
// that a client can write (X-Tenant, X-Forwarded-Host behind a proxy that passes it
// on), nor OpenTelemetry's baggage.
//
// # Compatibility
//
// The API may change before version 1.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/art32/art32/tenancy"
)

// Lookup finds the tenant of a request, by what is verified of it: [Host], a value of
// its path. [tenancy.ErrNotFound] and [tenancy.ErrUnknownTenant] say that there is none;
// any other error says that it could not be looked up. The zero ID is none too.
type Lookup func(r *http.Request) (tenancy.ID, error)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Logger receives why a request was answered with 503. Default: [slog.Default].
	Logger *slog.Logger
}

// Gate lets requests pass whose tenant is known. It is safe for concurrent use.
type Gate struct {
	lookup Lookup
	logger *slog.Logger
}

// New returns the gate over a lookup.
func New(lookup Lookup, o *Options) (*Gate, error) {
	if lookup == nil {
		return nil, errors.New("web: new: lookup must not be nil")
	}
	g := &Gate{lookup: lookup, logger: slog.Default()}
	if o != nil && o.Logger != nil {
		g.logger = o.Logger
	}
	return g, nil
}

// Handler returns a handler that calls next with the tenant of the request in its
// context. Where there is none, or the context has another, the answer is 404, while it
// cannot be looked up 503, and next is not called.
func (g *Gate) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := g.tenant(r)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(tenancy.WithTenant(r.Context(), id)))
		case none(err):
			refuse(w, http.StatusNotFound)
		default:
			if r.Context().Err() == nil {
				g.logger.ErrorContext(r.Context(), "web: tenant not found out", slog.Any("error", err))
			}
			w.Header().Set("Retry-After", "5")
			refuse(w, http.StatusServiceUnavailable)
		}
	})
}

// tenant is that of the request, if the context has no other.
func (g *Gate) tenant(r *http.Request) (tenancy.ID, error) {
	id, err := g.lookup(r)
	if err != nil {
		return id, err
	}
	if id.IsZero() {
		return id, tenancy.ErrNotFound
	}
	if have, err := tenancy.TenantFrom(r.Context()); err == nil && have != id {
		return id, tenancy.ErrOtherTenant
	}
	return id, nil
}

// none reports whether an error says that there is no such tenant for this request.
func none(err error) bool {
	for _, e := range []error{tenancy.ErrNotFound, tenancy.ErrUnknownTenant, tenancy.ErrNoTenant, tenancy.ErrOtherTenant} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, http.StatusText(status), status)
}

var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// mostHost is the longest name that DNS has.
const mostHost = 253

// Host is the [Lookup] by the name in the address that was asked for, which find gets
// in lower case, without port and without a dot at its end; names of other letters as
// DNS has them ("xn--"). What is no name is not asked for: [tenancy.ErrNotFound]. A
// proxy in front must pass the name on as Host; no other header counts.
func Host(find func(ctx context.Context, host string) (tenancy.ID, error)) Lookup {
	if find == nil {
		return nil
	}
	return func(r *http.Request) (tenancy.ID, error) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		if len(host) > mostHost || !hostName.MatchString(host) {
			return tenancy.ID{}, tenancy.ErrNotFound
		}
		return find(r.Context(), host)
	}
}
