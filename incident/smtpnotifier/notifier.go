package smtpnotifier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/art32/art32/incident"
)

// ErrPlaintext says that the server offers no STARTTLS: nothing was sent.
var ErrPlaintext = errors.New("smtpnotifier: the server offers no STARTTLS, nothing was sent")

// Notifier sends notices by mail. It is safe for concurrent use; each notice has a
// connection of its own.
type Notifier struct{ o Options }

var _ incident.Notifier = (*Notifier)(nil)

// quitTime is for the farewell, which changes nothing any more.
const quitTime = 2 * time.Second

// New makes a notifier. It does not touch the server.
func New(o *Options) (*Notifier, error) {
	opts, err := o.orDefault()
	if err != nil {
		return nil, err
	}
	return &Notifier{o: opts}, nil
}

// Notify implements [incident.Notifier]. It returns nil once the server has taken
// the mail over, and else an *incident.DeliveryError whose code says at which step
// it ended. Where the connection broke at the very end, the mail may have been
// taken over all the same, and comes again under its Message-ID.
func (n *Notifier) Notify(ctx context.Context, x incident.Notice) error {
	if err := x.Check(); err != nil {
		return &incident.DeliveryError{Code: "invalid", Permanent: true, Err: err}
	}
	m, err := n.compose(&x)
	if err != nil {
		return &incident.DeliveryError{Code: "invalid", Permanent: true, Err: err}
	}
	limited, cancel := context.WithTimeout(ctx, n.o.Timeout)
	defer cancel()
	err = n.deliver(limited, x.To.Mail, m)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // stopped from outside, which is no failure of the channel
	}
	return err
}

func (n *Notifier) deliver(ctx context.Context, to string, m []byte) error {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(n.o.Host, strconv.Itoa(n.o.Port)))
	if err != nil {
		return failed("connect", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // also while a reply is awaited
	defer stop()
	defer func() { _ = raw.Close() }()
	conn, err := n.secure(ctx, &bounded{Conn: raw, left: maxReplies})
	if err != nil {
		return failed("connect", err)
	}
	return n.talk(conn, to, m)
}

// secure encrypts from the first byte where that is meant.
func (n *Notifier) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if n.o.TLS != Implicit {
		return conn, nil
	}
	c := tls.Client(conn, n.o.tls())
	return c, c.HandshakeContext(ctx)
}

// talk says nothing of the notice before the connection is encrypted.
func (n *Notifier) talk(conn net.Conn, to string, m []byte) error {
	c, err := smtp.NewClient(conn, n.o.Host)
	if err != nil {
		return failed("greeting", err)
	}
	if err := c.Hello(hostname()); err != nil {
		return failed("hello", err)
	}
	if n.o.TLS == STARTTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			_ = conn.SetDeadline(time.Now().Add(quitTime))
			_ = c.Quit()
			return &incident.DeliveryError{Code: "plaintext", Err: ErrPlaintext}
		}
		if err := c.StartTLS(n.o.tls()); err != nil {
			return failed("tls", err)
		}
	}
	if err := n.login(c); err != nil {
		return failed("login", err)
	}
	if err := n.send(c, to, m); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(quitTime))
	_ = c.Quit() // the server has the mail already
	return nil
}

// login takes the strongest way that the server offers.
func (n *Notifier) login(c *smtp.Client) error {
	if n.o.Username == "" {
		return nil
	}
	_, offered := c.Extension("AUTH")
	ways := strings.Fields(offered)
	for _, w := range []struct {
		name string
		auth smtp.Auth
	}{
		{"SCRAM-SHA-256", smtp.ScramSHA256Auth(n.o.Username, n.o.Password)},
		{"PLAIN", smtp.PlainAuth("", n.o.Username, n.o.Password, n.o.Host, false)},
		{"LOGIN", smtp.LoginAuth(n.o.Username, n.o.Password, n.o.Host, false)},
	} {
		for _, way := range ways {
			if strings.EqualFold(way, w.name) {
				return c.Auth(w.auth)
			}
		}
	}
	return errors.New("smtpnotifier: no known way to log in")
}

func (n *Notifier) send(c *smtp.Client, to string, m []byte) error {
	c.SetDSNMailReturnOption("HDRS")
	c.SetDSNRcptNotifyOption("SUCCESS,FAILURE,DELAY")
	if err := c.Mail("<" + n.o.From + ">"); err != nil {
		return refused(err)
	}
	if err := c.Rcpt("<" + to + ">"); err != nil {
		return refused(err)
	}
	w, err := c.Data()
	if err != nil {
		return refused(err)
	}
	if _, err := w.Write(m); err != nil {
		return failed("cut", err) // no end of the text was sent: the server must drop it
	}
	if err := w.Close(); err != nil {
		return refused(err)
	}
	return nil
}

// refused is the answer to a command of the mail itself: 5xx is for good.
func refused(err error) error {
	e := failed("cut", err)
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		e.Permanent = reply.Code >= 500 && reply.Code < 600
	}
	return e
}

// failed names the step, or the server's code. Its text may hold addresses, and
// stays in the cause.
func failed(step string, err error) *incident.DeliveryError {
	e := &incident.DeliveryError{Code: step, Err: err}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Code = "certificate"
	} else if reply, ok := errors.AsType[*textproto.Error](err); ok {
		e.Code = "smtp_" + strconv.Itoa(reply.Code)
	}
	return e
}

// hostname is what EHLO names.
func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsAny(name, " \r\n") {
		return "localhost"
	}
	return name
}

// String is the server's name.
func (n *Notifier) String() string { return n.o.String() }

// GoString is the server's name.
func (n *Notifier) GoString() string { return n.o.String() }

// Format implements [fmt.Formatter]: every verb shows the server's name only.
func (n *Notifier) Format(s fmt.State, verb rune) { n.o.Format(s, verb) }

// LogValue implements [slog.LogValuer].
func (n *Notifier) LogValue() slog.Value { return n.o.LogValue() }
