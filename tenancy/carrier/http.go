package carrier

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/art32/art32/tenancy"
)

// Header is the name of the header; in lower case it serves for metadata of gRPC.
const Header = "Art32-Context"

// RequestLife is how long the text of a request can be used: it is opened at once.
const RequestLife = time.Minute

// Transport returns a [http.RoundTripper] that sends the context of each request to
// another service, which has a [Carrier.Handler] of the same purpose; base nil means
// [http.DefaultTransport]. A request whose context names no tenant is not sent. Use
// it for your own services alone: to others the header is noise.
func (c *Carrier) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{c, base}
}

type transport struct {
	c    *Carrier
	base http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := t.c.Seal(r.Context(), RequestLife)
	if err != nil {
		if r.Body != nil {
			err = errors.Join(err, r.Body.Close())
		}
		return nil, err
	}
	out := r.Clone(r.Context())
	out.Header.Set(Header, text)
	return t.base.RoundTrip(out)
}

// Handler returns a handler that calls next in the context which the request
// carries. Without one, or with one that is refused, the answer is 401, while the
// keystore is down 503, and next is not called. The header is gone for next.
func (c *Carrier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := c.OpenOnly(r.Context(), r.Header.Values(Header))
		switch {
		case err == nil:
			r = r.WithContext(ctx)
			r.Header = r.Header.Clone()
			r.Header.Del(Header)
			next.ServeHTTP(w, r)
		case errors.Is(err, ErrRefused) || errors.Is(err, tenancy.ErrOtherTenant):
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
		default:
			c.logger.ErrorContext(r.Context(), "carrier: keys not available", slog.Any("error", err))
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
		}
	})
}

// OpenOnly is [Carrier.Open] for the values of [Header] in what has arrived: metadata
// of gRPC (metadata.MD.Get) or headers of connect ([http.Header.Values]). None, and
// more than one, are [ErrRefused]: which of two counts is not for a sender to play with.
func (c *Carrier) OpenOnly(ctx context.Context, values []string) (context.Context, error) {
	if len(values) != 1 {
		return nil, ErrRefused
	}
	return c.Open(ctx, values[0])
}
