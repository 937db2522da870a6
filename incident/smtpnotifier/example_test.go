package smtpnotifier_test

import (
	"fmt"

	"github.com/art32/art32/incident"
	"github.com/art32/art32/incident/smtpnotifier"
)

func Example() {
	mailer, err := smtpnotifier.New(&smtpnotifier.Options{
		Host: "mail.vendor.example", From: "datenschutz@vendor.example",
		Username: "datenschutz", Password: "from a file of mode 0600",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	o := incident.Options{Notifiers: map[string]incident.Notifier{"smtp": mailer}}
	fmt.Println(len(o.Notifiers), "channel")
	// Output: 1 channel
}
