// Package mailplace mails the signed heads of audit logs to the tenants whose logs
// they are. What lies in a customer's mailbox the vendor cannot take back.
//
// It carries clause TOM-5.1 (input control). [New] gives the [audit.Place] over the
// application's way to send mail. A mail is in German and English, has the head and
// the log's public key as attachments, and says how to check them.
//
// # Guarantees
//
// A tenant gets at most one mail in [Options].Every, and none while nothing was
// added. The mail holds the id of the log, its size and root; nothing of entries. It
// returns once the application's mailer has taken the mail.
//
// # Not covered
//
// A mailbox cannot be asked: the comparison is the tenant's to make. A mail that was
// taken by the mailer and lost on the way comes again with the next head only. After a
// crash at the wrong moment a mail comes twice.
//
// # Compatibility
//
// The attachments are named "checkpoint" and "log.vkey", as in an export. The texts
// may change.
package mailplace

import (
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/tenancy"
)

const defaultEvery = 7 * 24 * time.Hour

// Mailer is how the application sends mail. It must speak TLS to its server, bound
// its time, and return nil only once the server has taken the mail over.
type Mailer interface {
	// Mail sends a plain text in UTF-8, without anything else that identifies the
	// recipient, and files as attachments, by name.
	Mail(ctx context.Context, to, subject, text string, files map[string][]byte) error
}

// AddressOf says to whom the heads of a tenant's log are mailed: a plain address, ""
// for nobody. It is never asked for the platform's log.
type AddressOf func(ctx context.Context, tenant tenancy.ID) (string, error)

// Options are the choices of [New]; nil and zero fields mean the defaults.
type Options struct {
	// Every is the least time between two mails about a log. Default one week.
	Every time.Duration
}

// Place is the mailboxes of the tenants. It is safe for concurrent use if its mailer
// is.
type Place struct {
	name   string
	mailer Mailer
	to     AddressOf
	every  time.Duration
}

var _ audit.Paced = (*Place)(nil)

// New makes the place called name. All arguments but o are required.
func New(name string, m Mailer, to AddressOf, o *Options) (*Place, error) {
	if name == "" || m == nil || to == nil {
		return nil, errors.New("mailplace: new: name, mailer and addresses are required")
	}
	p := &Place{name: name, mailer: m, to: to, every: defaultEvery}
	if o != nil && o.Every > 0 {
		p.every = o.Every
	}
	return p, nil
}

// Name implements [audit.Place].
func (p *Place) Name() string { return p.name }

// Every implements [audit.Paced].
func (p *Place) Every() time.Duration { return p.every }

// Held implements [audit.Place]: a mailbox cannot be asked.
func (p *Place) Held(context.Context, string) ([]byte, error) { return nil, nil }

// Put implements [audit.Place].
func (p *Place) Put(ctx context.Context, h *audit.Head) ([]string, error) {
	if h.Tenant.IsZero() {
		return nil, audit.ErrNotTaken
	}
	to, err := p.to(ctx, h.Tenant)
	if err != nil {
		return nil, fmt.Errorf("mailplace: address of the tenant: %w", err)
	}
	if to == "" {
		return nil, audit.ErrNotTaken
	}
	subject := "Prüfsumme Ihres Protokolls / checkpoint of your audit log: " + strconv.FormatInt(h.Size, 10)
	files := map[string][]byte{"checkpoint": h.Note, "log.vkey": []byte(h.Key + "\n")}
	if err := p.mailer.Mail(ctx, to, subject, text(h), files); err != nil {
		return nil, fmt.Errorf("mailplace: mail: %w", err)
	}
	return nil, nil
}

//go:embed mail.txt
var template string

func text(h *audit.Head) string {
	return strings.NewReplacer(
		"{log}", h.Origin, "{size}", strconv.FormatInt(h.Size, 10), "{root}", base64.StdEncoding.EncodeToString(h.Root[:]),
	).Replace(template)
}
