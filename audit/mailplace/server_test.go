package mailplace_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/wneessen/go-mail"

	"github.com/art32/art32/audit/mailplace"
)

// server is a real SMTP server on the loopback interface, with STARTTLS.
type server struct {
	port  int
	roots *x509.CertPool

	mu      sync.Mutex
	letters []letter
	refuse  bool
}

type letter struct {
	to   string
	data []byte
}

func serve(t *testing.T) *server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	s := &server{roots: x509.NewCertPool()}
	s.roots.AddCert(leaf)
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{s: s}, nil }))
	srv.Domain, srv.ErrorLog = "mail.example", log.New(io.Discard, "", 0)
	srv.ReadTimeout, srv.WriteTimeout = 10*time.Second, 10*time.Second
	srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.port = l.Addr().(*net.TCPAddr).Port
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return s
}

func (s *server) received() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.letters)
}

type session struct {
	s *server
	l letter
}

func (s *session) Reset()                                    { s.l = letter{} }
func (*session) Logout() error                               { return nil }
func (*session) Mail(string, *smtp.MailOptions) error        { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.l.to = to; return nil }

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.s.refuse {
		return smtp.ErrAuthRequired
	}
	s.s.letters = append(s.s.letters, letter{s.l.to, data})
	return nil
}

// mailer is an application's: a server, a sender.
type mailer struct {
	host string
	port int
	from string
	tls  *tls.Config
}

var _ mailplace.Mailer = (*mailer)(nil)

// Mail implements [mailplace.Mailer].
func (m *mailer) Mail(ctx context.Context, to, subject, text string, files map[string][]byte) error {
	msg := mail.NewMsg(mail.WithEncoding(mail.EncodingQP))
	if err := msg.From(m.from); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := msg.To(to); err != nil {
		return fmt.Errorf("recipient: %w", err)
	}
	msg.Subject(subject)
	msg.SetBodyString(mail.TypeTextPlain, text)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := msg.AttachReader(name, bytes.NewReader(files[name]), mail.WithFileEncoding(mail.EncodingB64)); err != nil {
			return fmt.Errorf("attach: %w", err)
		}
	}
	c, err := mail.NewClient(m.host, mail.WithPort(m.port), mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(m.tls), mail.WithTimeout(30*time.Second))
	if err != nil {
		return err
	}
	return c.DialAndSendWithContext(ctx, msg)
}

func (s *server) mailer() *mailer {
	return &mailer{host: "127.0.0.1", port: s.port, from: "audit@vendor.example", tls: &tls.Config{ServerName: "127.0.0.1", RootCAs: s.roots, MinVersion: tls.VersionTLS12}}
}
