package smtpnotifier

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"time"
)

// TLS is when a connection becomes encrypted.
type TLS int

const (
	// STARTTLS begins in clear and goes no further without STARTTLS (RFC 3207).
	STARTTLS TLS = iota
	// Implicit is encrypted from the first byte (RFC 8314).
	Implicit
)

// Options are the choices of a [Notifier]; zero fields mean the defaults. For
// package fmt, loggers and encoding/json they show the host only.
type Options struct {
	// Host is the server's name, which its certificate must hold. Required.
	Host string
	// Port of the server. Default: 587, with Implicit 465.
	Port int
	// From is the sender, a plain address. Answers and reports of delivery go
	// there: somebody must read it. Required.
	From string
	// Username and Password log in, after TLS. Default: no login.
	Username, Password string
	// TLS says when the connection becomes encrypted. Default: [STARTTLS].
	TLS TLS
	// RootCAs verify the server. Default: those of the system.
	RootCAs *x509.CertPool
	// Timeout bounds one attempt. Default: 50 seconds, below the minute that the
	// queue of package incident grants.
	Timeout time.Duration
}

const defaultTimeout = 50 * time.Second

// orDefault checks o and fills in what it leaves out.
func (o *Options) orDefault() (Options, error) {
	if o == nil || o.Host == "" || strings.ContainsAny(o.Host, " \r\n:/@") {
		return Options{}, errors.New("smtpnotifier: new: the name of the server is required")
	}
	out := *o
	a, err := mail.ParseAddress(o.From)
	if err != nil || a.Name != "" || a.Address != o.From || strings.ContainsAny(o.From, "\r\n <>\"") {
		return Options{}, errors.New("smtpnotifier: new: the sender must be a plain address")
	}
	if o.Port < 0 || o.Port > 65535 || o.Timeout < 0 || o.TLS < STARTTLS || o.TLS > Implicit || (o.Username == "") != (o.Password == "") {
		return Options{}, errors.New("smtpnotifier: new: port, timeout or kind of TLS out of range, or a user without password")
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	if out.Port == 0 {
		out.Port = 587
		if out.TLS == Implicit {
			out.Port = 465
		}
	}
	return out, nil
}

func (o *Options) tls() *tls.Config {
	return &tls.Config{ServerName: o.Host, RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
}

// String is the server's name.
func (o Options) String() string { return "smtp server " + o.Host }

// GoString is the server's name.
func (o Options) GoString() string { return o.String() }

// Format implements [fmt.Formatter]: every verb shows the server's name only.
func (o Options) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, o.String()) }

// MarshalText is the server's name.
func (o Options) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// MarshalJSON is the server's name.
func (o Options) MarshalJSON() ([]byte, error) { return json.Marshal(o.String()) }

// LogValue implements [slog.LogValuer].
func (o Options) LogValue() slog.Value { return slog.StringValue(o.String()) }
