package mailplace_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/audit/mailplace"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/tenancytest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// publish is what a publisher does that has just started.
func publish(t *testing.T, w *tenancytest.World, p audit.Place) (*audit.Publication, error) {
	t.Helper()
	publisher, err := audit.NewPublisher(w.DB, []audit.Place{p}, nil)
	must(t, err)
	return publisher.PublishDue(t.Context())
}

func open(t *testing.T, w *tenancytest.World, s *server, every time.Duration) *mailplace.Place {
	t.Helper()
	p, err := mailplace.New("mail", s.mailer(), func(_ context.Context, id tenancy.ID) (string, error) {
		if id == w.A {
			return "security@customer.example", nil
		}
		return "", nil
	}, &mailplace.Options{Every: every})
	must(t, err)
	return p
}

// parts are those of a mail: its text, and the attachments by name.
func parts(t *testing.T, data []byte) (subject, text string, files map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	must(t, err)
	subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	must(t, err)
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	must(t, err)
	files = map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return subject, text, files
		}
		must(t, err)
		var body io.Reader = quotedprintable.NewReader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "base64" {
			body = base64.NewDecoder(base64.StdEncoding, p)
		}
		b, err := io.ReadAll(body)
		must(t, err)
		if p.FileName() == "" {
			text = string(b)
		} else {
			files[p.FileName()] = string(b)
		}
	}
}

// A tenant gets its own head, which verifies from the mail alone, and says in both
// languages what it is; of the platform and of others it gets nothing.
func TestMailed(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), serve(t)
	grow(t, w, 3)
	must(t, things.Insert(w.In(t, w.B), w.DB, &thing{Plan: "basic"}))
	w.Seal(t)
	r, err := publish(t, w, open(t, w, s, 0))
	must(t, err)
	if r.Heads != 1 || r.NotTaken != 2 {
		t.Errorf("got %+v", r)
	}
	letters := s.received()
	if len(letters) != 1 || letters[0].to != "security@customer.example" {
		t.Fatalf("got %+v", letters)
	}
	subject, text, files := parts(t, letters[0].data)
	c, err := audit.ParseCheckpoint([]byte(files["checkpoint"]), files["log.vkey"])
	must(t, err)
	if c.Size != 3 || !strings.HasSuffix(subject, ": 3") {
		t.Errorf("%q of %+v", subject, c)
	}
	for _, want := range []string{c.Origin, base64.StdEncoding.EncodeToString(c.Root[:]), "Prüfsumme: ", "Root hash: ", "darf nur wachsen", "may only grow"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
	if strings.ContainsAny(text, "{}") {
		t.Errorf("a blank was not filled in:\n%s", text)
	}
}

// However often heads are published, a mailbox gets one in a span, also after the
// process has started anew, and none where nothing was added.
func TestSeldom(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), serve(t)
	for _, c := range []struct {
		more  int
		every time.Duration
		mails int
	}{{3, time.Hour, 1}, {1, time.Hour, 1}, {0, time.Nanosecond, 2}, {0, time.Nanosecond, 2}, {1, 0, 2}} {
		grow(t, w, c.more)
		_, err := publish(t, w, open(t, w, s, c.every))
		must(t, err)
		if n := len(s.received()); n != c.mails {
			t.Errorf("%+v: %d mails", c, n)
		}
	}
}

// A mail that the server does not take is an error, and comes with the next round.
func TestRefused(t *testing.T) {
	t.Parallel()
	t.Attr("art32.measure", "TOM-5.1")
	w, s := newWorld(t), serve(t)
	grow(t, w, 3)
	s.refuse = true
	if r, err := publish(t, w, open(t, w, s, 0)); err == nil || r.Heads != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	s.mu.Lock()
	s.refuse = false
	s.mu.Unlock()
	if r, err := publish(t, w, open(t, w, s, 0)); err != nil || r.Heads != 1 {
		t.Errorf("got %+v, %v", r, err)
	}
}
