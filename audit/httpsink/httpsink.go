// Package httpsink posts what a feed of the audit log sends to a collector, such as
// that of a SIEM.
//
// It carries clause TOM-5.1 (input control). [New] gives the [audit.Sink] over a URL.
// A batch is the body of one POST, of type application/x-ndjson.
//
// # Guarantees
//
// The collector is spoken to over TLS, unless it is on the loopback interface; no
// redirect is followed, and answers and times are bounded. A batch counts as taken
// with an answer of class 2xx alone. What failed is sent again by the feed, with
// growing pauses. Nothing of an answer but its status, and no header, reaches an error.
//
// # Not covered
//
// A collector that answers before what it took is safe.
//
// # Compatibility
//
// The API may change before version 1.
package httpsink

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/art32/art32/audit"
)

const (
	defaultTimeout = 30 * time.Second
	maxAnswer      = 64 << 10 // bytes that are read to use the connection again
)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Header is sent with each batch, such as the token of the collector. Default:
	// none.
	Header http.Header
	// RootCAs verify the collector. Default: those of the system.
	RootCAs *x509.CertPool
	// Timeout bounds one batch. Default 30 seconds.
	Timeout time.Duration
}

// Sink is a collector at its URL. It is safe for concurrent use.
type Sink struct {
	url    string
	header http.Header
	client *http.Client
}

var _ audit.Sink = (*Sink)(nil)

// New makes the sink over a URL. It asks nothing of the collector. It refuses an http
// URL to another machine, and one that holds a login: that belongs into a header.
func New(to string, o *Options) (*Sink, error) {
	u, err := url.Parse(to)
	if err != nil || u.Host == "" || u.User != nil {
		return nil, errors.New("httpsink: new: that is no URL of a collector, or it holds a login")
	}
	if !guarded(u) {
		return nil, errors.New("httpsink: new: the collector is not on this machine and is spoken to without TLS")
	}
	if o == nil {
		o = &Options{}
	}
	s := &Sink{url: to, header: o.Header.Clone(), client: &http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
		},
	}}
	if s.client.Timeout <= 0 {
		s.client.Timeout = defaultTimeout
	}
	if s.header == nil {
		s.header = http.Header{}
	}
	s.header.Set("Content-Type", "application/x-ndjson")
	return s, nil
}

// guarded reports whether what travels is encrypted, or does not leave the machine.
func guarded(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// Send implements [audit.Sink].
func (s *Sink) Send(ctx context.Context, lines []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(lines))
	if err != nil {
		return errors.New("httpsink: the URL cannot be asked")
	}
	req.Header = s.header.Clone()
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("httpsink: post: %w", cause(err))
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	_ = resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("httpsink: the collector answers with status %d", resp.StatusCode)
	}
	return nil
}

// cause leaves out the URL, whose query may hold a token.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
