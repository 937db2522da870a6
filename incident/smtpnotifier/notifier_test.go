package smtpnotifier_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/incidenttest"
	"github.com/art32/art32/incident/smtpnotifier"
)

func notice() incident.Notice {
	return incident.Notice{
		ID: uuid.MustParse("01234567-89ab-8def-8123-456789abcdef"), Number: 1, Subject: "Meldung / notice: canary",
		To: incident.Contact{Name: `Jörg "Canary"`, Mail: "canary@controller.example"}, Text: "canary: Grüße\n", JSON: []byte(`{"canary":1}`),
	}
}

func (s *server) options() *smtpnotifier.Options {
	return &smtpnotifier.Options{
		Host: "127.0.0.1", Port: s.port, From: "canary-from@vendor.example", Username: "canary-user", Password: "right canary", RootCAs: s.roots,
	}
}

func open(tb testing.TB, o *smtpnotifier.Options) *smtpnotifier.Notifier {
	tb.Helper()
	n, err := smtpnotifier.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// read takes a mail apart.
func read(data []byte) (header mail.Header, text string, attached []byte, err error) {
	m, err := mail.ReadMessage(strings.NewReader(string(data)))
	if err != nil {
		return nil, "", nil, err
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, "", nil, err
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for p, err := parts.NextRawPart(); err == nil; p, err = parts.NextRawPart() {
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			attached, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		} else {
			var b []byte
			b, err = io.ReadAll(quotedprintable.NewReader(p))
			text = strings.ReplaceAll(string(b), "\r\n", "\n")
		}
		if err != nil {
			return nil, "", nil, err
		}
	}
	return m.Header, text, attached, nil
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{withSTARTTLS, implicitTLS} {
		incidenttest.RunNotifier(t, func(t *testing.T) incidenttest.Fixture {
			s := serve(t, k)
			o := s.options()
			if k == implicitTLS {
				o.TLS = smtpnotifier.Implicit
			}
			return incidenttest.Fixture{
				Notifier: open(t, o),
				Break:    func() { s.atRcpt = &smtp.SMTPError{Code: 550, Message: "no mailbox kanarienvogel@example.org"} },
				Hang:     func() { s.hang.Store(true) },
				Received: func() (got []incidenttest.Received, err error) {
					for _, l := range s.received() {
						h, text, attached, err := read(l.data)
						if err != nil {
							return nil, err
						}
						id, _, _ := strings.Cut(strings.Trim(h.Get("Message-Id"), "<>"), "@")
						got = append(got, incidenttest.Received{ID: uuid.MustParse(id), To: l.to, Text: text, JSON: attached})
					}
					return got, nil
				},
			}
		})
	}
}

func TestMail(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-9.2")
	s, x := serve(t, withSTARTTLS), notice()
	for range 2 {
		if err := open(t, s.options()).Notify(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	got := s.received()
	if len(got) != 2 {
		t.Fatalf("%d mails", len(got))
	}
	l := got[0]
	if l.from != "canary-from@vendor.example" || l.to != x.To.Mail || l.user != "canary-user" || l.ret != smtp.DSNReturnHeaders || len(l.notify) != 3 {
		t.Errorf("envelope %+v", l)
	}
	h, text, attached, err := read(l.data)
	if err != nil || text != x.Text || string(attached) != string(x.JSON) {
		t.Errorf("text %q, attached %q, %v", text, attached, err)
	}
	if id := h.Get("Message-Id"); id != "<"+x.ID.String()+"@vendor.example>" || h.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("header %v", h)
	}
	to, err := h.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Name != x.To.Name || to[0].Address != x.To.Mail {
		t.Errorf("to %v, %v", to, err)
	}
	undated := func(data []byte) []string {
		var lines []string
		for line := range strings.SplitSeq(string(data), "\r\n") {
			if !strings.HasPrefix(line, "Date: ") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if diff := cmp.Diff(undated(got[0].data), undated(got[1].data)); diff != "" {
		t.Errorf("the repetition is another mail: %s", diff)
	}
	if strings.Contains(s.sent(), "canary") {
		t.Error("something went over the wire in clear")
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		kind      kind
		names     []string // of the certificate
		server    func(*server)
		options   func(*smtpnotifier.Options)
		code      string
		permanent bool
	}{
		{name: "no STARTTLS", kind: withoutTLS, code: "plaintext"},
		{name: "in clear where TLS is meant", kind: withoutTLS, options: func(o *smtpnotifier.Options) { o.TLS = smtpnotifier.Implicit }, code: "connect"},
		{name: "certificate for another", names: []string{"mail.other.example"}, code: "certificate"},
		{name: "certificate of an unknown authority", options: func(o *smtpnotifier.Options) { o.RootCAs = nil }, code: "certificate"},
		{name: "implicit, certificate for another", kind: implicitTLS, names: []string{"mail.other.example"}, options: func(o *smtpnotifier.Options) { o.TLS = smtpnotifier.Implicit }, code: "certificate"},
		{name: "wrong password", options: func(o *smtpnotifier.Options) { o.Password = "wrong canary" }, code: "smtp_535"},
		{name: "no login", server: func(s *server) { s.noAuth = true }, code: "login"},
		{name: "hangs up in the text", server: func(s *server) { s.cut = true }, code: "cut"},
		{name: "never answers", server: func(s *server) { s.hang.Store(true) }, options: func(o *smtpnotifier.Options) { o.Timeout = 300 * time.Millisecond }, code: "cut"},
		{name: "mailbox busy", server: func(s *server) { s.atRcpt = &smtp.SMTPError{Code: 450, Message: "canary busy"} }, code: "smtp_450"},
		{name: "no mailbox", server: func(s *server) { s.atRcpt = &smtp.SMTPError{Code: 550, Message: "canary unknown"} }, code: "smtp_550", permanent: true},
		{name: "disk full", server: func(s *server) { s.atData = &smtp.SMTPError{Code: 452, Message: "canary full"} }, code: "smtp_452"},
		{name: "text refused", server: func(s *server) { s.atData = &smtp.SMTPError{Code: 554, Message: "canary spam"} }, code: "smtp_554", permanent: true},
		{name: "nobody there", options: func(o *smtpnotifier.Options) { o.Port = 1 }, code: "connect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			t.Attr("art32.measure", "TOM-9.2")
			s := serve(t, tt.kind, tt.names...)
			if tt.server != nil {
				tt.server(s)
			}
			o := s.options()
			if tt.options != nil {
				tt.options(o)
			}
			err := open(t, o).Notify(t.Context(), notice())
			e, ok := errors.AsType[*incident.DeliveryError](err)
			if !ok || e.Code != tt.code || e.Permanent != tt.permanent {
				t.Fatalf("Notify() = %v, cause %v; want code %s, permanent %v", err, errors.Unwrap(err), tt.code, tt.permanent)
			}
			if (tt.code == "plaintext") != errors.Is(err, smtpnotifier.ErrPlaintext) || strings.Contains(err.Error(), "canary") {
				t.Errorf("error %v", err)
			}
			if sent := s.sent(); strings.Contains(sent, "canary") || strings.Contains(sent, "vendor.example") || len(s.received()) != 0 {
				t.Errorf("went over the wire in clear, or arrived: %q", sent)
			}
		})
	}
}

// What is stopped from outside is no failure of the channel.
func TestStoppedFromOutside(t *testing.T) {
	t.Parallel()
	s := serve(t, withSTARTTLS)
	s.hang.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := open(t, s.options()).Notify(ctx, notice())
	if _, typed := errors.AsType[*incident.DeliveryError](err); typed || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Notify() = %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := func() *smtpnotifier.Options {
		return &smtpnotifier.Options{Host: "mail.example", From: "a@vendor.example"}
	}
	if _, err := smtpnotifier.New(good()); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*smtpnotifier.Options){
		"no host":                func(o *smtpnotifier.Options) { o.Host = "" },
		"host with a line break": func(o *smtpnotifier.Options) { o.Host = "canary\r\nQUIT" },
		"no sender":              func(o *smtpnotifier.Options) { o.From = "" },
		"sender with a name":     func(o *smtpnotifier.Options) { o.From = "canary <a@vendor.example>" },
		"sender with lines":      func(o *smtpnotifier.Options) { o.From = "canary@vendor.example\r\nBcc: b@example.org" },
		"user without password":  func(o *smtpnotifier.Options) { o.Username = "canary" },
		"unknown kind of TLS":    func(o *smtpnotifier.Options) { o.TLS = 2 },
		"port":                   func(o *smtpnotifier.Options) { o.Port = 70000 },
		"time":                   func(o *smtpnotifier.Options) { o.Timeout = -1 },
	} {
		o := good()
		edit(o)
		if _, err := smtpnotifier.New(o); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := smtpnotifier.New(nil); err == nil {
		t.Error("nothing given, no error")
	}
}

func TestOptionsHideThePassword(t *testing.T) {
	t.Parallel()
	o := smtpnotifier.Options{Host: "mail.example", Password: "canary"}
	n := open(t, &smtpnotifier.Options{Host: "mail.example", From: "a@b.example", Username: "u", Password: "canary"})
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).InfoContext(t.Context(), "x", slog.Any("o", o), slog.Any("n", n))
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q %v %v", o, o, o, o, o, &o, n), b.String()} {
		if strings.Contains(s, "canary") {
			t.Errorf("shows the password: %s", s)
		}
	}
}
