package smtpnotifier

import (
	"bytes"
	"fmt"
	"strings"

	mail "github.com/wneessen/go-mail"

	"github.com/art32/art32/incident"
)

// compose writes the mail. All but its date follows from the notice.
func (n *Notifier) compose(x *incident.Notice) ([]byte, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithBoundary("art32-"+x.ID.String()), mail.WithEncoding(mail.EncodingQP))
	if err := m.From(n.o.From); err != nil {
		return nil, fmt.Errorf("smtpnotifier: sender: %w", err)
	}
	if err := m.AddToFormat(strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(x.To.Name), x.To.Mail); err != nil {
		return nil, fmt.Errorf("smtpnotifier: recipient: %w", err)
	}
	m.Subject(x.Subject)
	m.SetDate()
	m.SetMessageIDWithValue(x.ID.String() + n.o.From[strings.LastIndexByte(n.o.From, '@'):])
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers by machines
	m.SetBodyString(mail.TypeTextPlain, x.Text)
	if err := m.AttachReader("notice-"+x.ID.String()+".json", bytes.NewReader(x.JSON),
		mail.WithFileContentType("application/json"), mail.WithFileEncoding(mail.EncodingB64)); err != nil {
		return nil, fmt.Errorf("smtpnotifier: attach: %w", err)
	}
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("smtpnotifier: write: %w", err)
	}
	return b.Bytes(), nil
}
