package mailplace_test

import (
	"context"
	"crypto/tls"
	"fmt"

	"github.com/art32/art32/audit/mailplace"
	"github.com/art32/art32/tenancy"
)

// An application brings its own way to send mail, here with go-mail over STARTTLS, and
// says whom to write to. The place goes into audit.NewPublisher, beside others.
func ExampleNew() {
	m := &mailer{host: "mail.vendor.example", port: 587, from: "audit@vendor.example", tls: &tls.Config{ServerName: "mail.vendor.example", MinVersion: tls.VersionTLS12}}
	contacts := map[tenancy.ID]string{}
	place, err := mailplace.New("mail", m, func(_ context.Context, id tenancy.ID) (string, error) { return contacts[id], nil }, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(place.Name(), place.Every())
	// Output: mail 168h0m0s
}
