// Package smtpnotifier carries notices of incidents by mail, over TLS or not at
// all (TOM-9.2, TOM-4.1).
//
// [New] makes the notifier for incident.Options.Notifiers:
//
//	mailer, err := smtpnotifier.New(&smtpnotifier.Options{
//		Host: "mail.vendor.example", From: "datenschutz@vendor.example",
//		Username: "datenschutz", Password: password,
//	})
//
// # Guarantees
//
// A server that offers no STARTTLS learns no address and no text:
// [ErrPlaintext]. Its certificate is verified against the host's name; there is no
// way to turn that off. The Message-ID follows from the notice's id, so that a
// mail that comes again can be recognised. Reports of delivery are asked for where
// the server offers them.
//
// A refusal that the server calls permanent (5xx to sender, recipient or text)
// ends the attempts; all else is tried again. No error or code holds an address or
// a word of a server.
//
// # Not covered
//
// Encryption of the mail itself: it lies in clear at the servers on its way. A
// notice holds no data of affected persons. Signatures (DKIM) are the server's.
// Login by OAuth.
//
// # Compatibility
//
// The API may change before version 1. The Message-ID stays <notice id>@<domain of
// the sender>.
package smtpnotifier
