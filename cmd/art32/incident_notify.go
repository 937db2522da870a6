package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/foldernotifier"
	"github.com/art32/art32/incident/smtpnotifier"
)

// The variables that hold the login at the mail server.
const (
	envSMTPUser     = "ART32_SMTP_USERNAME"
	envSMTPPassword = "ART32_SMTP_PASSWORD" //nolint:gosec // the name of a variable
)

func incidentNotifyVerb() verb {
	return verb{
		name:  "incident notify",
		brief: "write one notice per affected tenant, and deliver what is due",
		login: needsKeys,
		more: `The notices go to the contacts that incident contact has set, into a folder as files
or by mail, or both; the mail server must offer TLS under a certificate for its name.
Repeating it is safe: no notice is written twice, what was given up or held by a
restore is tried again, and each attempt carries the same id. One attempt is made
now; incident.Desk.Run in the application makes the others, or this verb again; its
channels must then have the same names, folder and smtp. The exit code is 1 while a
tenant could not be counted or has no contact, nobody was found, a notice is not
delivered, or an acknowledgement is overdue.
$` + envSMTPUser + ` and $` + envSMTPPassword + ` log in at the mail server.
The file of --vendor is {"name": …, "contact": …, "mail": …, "phone": …}: who notifies,
and the contact point of Art. 33(3)(b) GDPR.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			n := &notifying{}
			n.flags(fs)
			n.reasonFlag(fs)
			fs.StringVar(&n.id, "case", "", "the `ID` of the case; required")
			fs.StringVar(&n.vendor, "vendor", "", "a JSON `FILE` that says who notifies; required")
			fs.StringVar(&n.folder, "folder", "", "put the notices into this `DIR`, mode 0700; made where there is none")
			fs.StringVar(&n.smtp, "smtp", "", "send them by this mail server, `HOST:PORT`; port 465 is TLS from the first byte, any other STARTTLS")
			fs.StringVar(&n.from, "from", "", "the sender's `ADDRESS`, where answers are read; required with --smtp")
			fs.StringVar(&n.ca, "smtp-ca", "", "a PEM `FILE` of the authorities that verify the mail server; default: those of the system")
			fs.StringVar(&n.ack, "ack-url", "", "the https `URL` where the application serves incident.Desk.AckHandler; default: an answer by mail is asked for")
			return n.run
		},
	}
}

// notifying is one call of the verb.
type notifying struct {
	breach

	id, vendor, folder, smtp, from, ca, ack string
}

func (n *notifying) run(ctx context.Context, out *output) (err error) {
	if err := n.resolve(); err != nil {
		return err
	}
	id, err := parseCase(n.id)
	if err != nil {
		return err
	}
	if n.vendor == "" || n.reason == "" {
		return usagef("--vendor FILE and --reason TEXT are required")
	}
	v, err := readVendor(n.vendor)
	if err != nil {
		return err
	}
	channels, err := n.channels()
	if err != nil {
		return err
	}
	desk, db, err := n.desk(ctx, v, channels, n.ack)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	return n.notify(ctx, out, desk, id)
}

func (n *notifying) notify(ctx context.Context, out *output, desk *incident.Desk, id uuid.UUID) error {
	_, err := desk.Notify(acting(ctx, n.reason), id)
	if errors.Is(err, incident.ErrNoCase) {
		return err
	}
	failed, some := errors.AsType[*incident.TenantError](err)
	_, silent := errors.AsType[*incident.NoContactError](err)
	if err == nil || some || silent || errors.Is(err, incident.ErrNobody) {
		err = nil
	}
	// What was written before leaves also when nothing could be added to it.
	_, delivery := desk.Deliver(acting(ctx, n.reason))
	if err := errors.Join(err, delivery); err != nil {
		return err
	}
	s, err := statusOf(ctx, desk, id)
	if err != nil {
		return err
	}
	c := n.caseValue(&s)
	c.Wrong = failures(failed)
	c.OK = c.OK && len(c.Wrong) == 0
	c.print(out, &n.breach)
	c.printNotices(out, &n.breach)
	c.printWrong(out)
	if err := out.value(c); err != nil || c.OK {
		return err
	}
	return errFindings
}

// channels are those that the flags name.
func (n *notifying) channels() (map[string]incident.Notifier, error) {
	all := map[string]incident.Notifier{}
	if n.folder != "" {
		f, err := foldernotifier.New(n.folder)
		if err != nil {
			return nil, err
		}
		all["folder"] = f
	}
	if n.smtp != "" {
		m, err := n.mailer()
		if err != nil {
			return nil, err
		}
		all["smtp"] = m
	}
	if len(all) == 0 {
		return nil, usagef("say how: --folder DIR, --smtp HOST:PORT, or both")
	}
	return all, nil
}

func (n *notifying) mailer() (*smtpnotifier.Notifier, error) {
	host, text, err := net.SplitHostPort(n.smtp)
	port, portErr := strconv.Atoi(text)
	if err != nil || portErr != nil || n.from == "" {
		return nil, usagef("--smtp HOST:PORT needs a port, and --from ADDRESS beside it")
	}
	o := &smtpnotifier.Options{Host: host, Port: port, From: n.from, Username: os.Getenv(envSMTPUser), Password: os.Getenv(envSMTPPassword)}
	if port == 465 {
		o.TLS = smtpnotifier.Implicit
	}
	if n.ca != "" {
		pem, err := os.ReadFile(n.ca)
		if err != nil {
			return nil, usagef("--smtp-ca: %v", err)
		}
		if o.RootCAs = x509.NewCertPool(); !o.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--smtp-ca: %s holds no certificate", n.ca)
		}
	}
	return smtpnotifier.New(o)
}

// vendorFile is the form of the file that --vendor names.
type vendorFile struct {
	Name    string `json:"name"`
	Contact string `json:"contact"`
	Mail    string `json:"mail"`
	Phone   string `json:"phone"`
}

// readVendor reads who notifies.
func readVendor(file string) (incident.Vendor, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return incident.Vendor{}, usagef("--vendor: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.DisallowUnknownFields()
	var v vendorFile
	if dec.Decode(&v) != nil { // its error may quote the text
		return incident.Vendor{}, usagef(`--vendor: %s is not of the form {"name": …, "contact": …, "mail": …, "phone": …}`, file)
	}
	return incident.Vendor(v), nil
}
