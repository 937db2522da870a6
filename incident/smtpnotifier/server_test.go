package smtpnotifier_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// letter is a mail as the server took it over.
type letter struct {
	from, to string
	notify   []smtp.DSNNotify
	ret      smtp.DSNReturn
	user     string
	data     []byte
}

// server is a real SMTP server on the loopback interface.
type server struct {
	port    int
	roots   *x509.CertPool
	atRcpt  error // how it answers
	atData  error
	cut     bool        // it hangs up in the middle of the text
	hang    atomic.Bool // it never answers to the text
	noAuth  bool        // it offers no login
	lingers atomic.Bool // with implicit TLS: it never answers to the farewell
	mu      sync.Mutex
	letters []letter
	wire    bytes.Buffer // all that clients have sent
}

// kind says how a server encrypts.
type kind int

const (
	withSTARTTLS kind = iota
	withoutTLS
	implicitTLS
)

func serve(tb testing.TB, k kind, names ...string) *server {
	tb.Helper()
	s := &server{}
	cert, roots := certificate(tb, names)
	s.roots = roots
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{s: s, conn: c}, nil }))
	srv.Domain, srv.EnableDSN, srv.EnableSMTPUTF8, srv.AllowInsecureAuth = "mail.example", true, true, true
	srv.ReadTimeout, srv.WriteTimeout = 10*time.Second, 10*time.Second
	srv.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	var listener net.Listener = &tapped{l, s}
	switch k {
	case withSTARTTLS:
		srv.TLSConfig = config
	case implicitTLS:
		listener = &farewell{tls.NewListener(listener, config), s}
	case withoutTLS:
	}
	go func() { _ = srv.Serve(listener) }()
	tb.Cleanup(func() { _ = srv.Close() })
	return s
}

// certificate is one for names, or for the address of the server.
func certificate(tb testing.TB, names []string) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, IsCA: true, BasicConstraintsValid: true,
	}
	if len(names) == 0 {
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func (s *server) received() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.letters...)
}

// sent is what clients sent, as it went over the wire.
func (s *server) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wire.String()
}

// tapped is a listener that keeps what clients send.
type tapped struct {
	net.Listener

	s *server
}

func (l *tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &tappedConn{c, l.s}, nil
}

type tappedConn struct {
	net.Conn

	s *server
}

func (c *tappedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.wire.Write(b[:n])
	return n, err
}

// farewell is a listener whose connections may keep the last reply to themselves.
type farewell struct {
	net.Listener

	s *server
}

func (l *farewell) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || !l.s.lingers.Load() {
		return c, err
	}
	return &lingeringConn{c}, nil
}

type lingeringConn struct{ net.Conn }

func (c *lingeringConn) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("221")) {
		time.Sleep(10 * time.Second) // longer than the client waits
	}
	return c.Conn.Write(b)
}

// session is one connection.
type session struct {
	s    *server
	conn *smtp.Conn
	l    letter
}

func (s *session) Reset()        { s.l = letter{user: s.l.user} }
func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string {
	if s.s.noAuth {
		return nil
	}
	return []string{"PLAIN"}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "right canary" {
			return smtp.ErrAuthFailed
		}
		s.l.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	s.l.from, s.l.ret = from, o.Return
	return nil
}

func (s *session) Rcpt(to string, o *smtp.RcptOptions) error {
	s.l.to, s.l.notify = to, o.Notify
	return s.s.atRcpt
}

func (s *session) Data(r io.Reader) error {
	if s.s.cut {
		_, _ = io.ReadFull(r, make([]byte, 100))
		return s.conn.Conn().Close()
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.s.hang.Load() {
		time.Sleep(5 * time.Second) // longer than the client waits
	}
	if s.s.atData != nil {
		return s.s.atData
	}
	s.l.data = data
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.s.letters = append(s.s.letters, s.l)
	return nil
}
