// Package incident tells controllers about a personal data breach: whom it
// touches, how many people and records, until when somebody must act, and that
// the notice has arrived.
//
// It carries clause TOM-9.2 ("Sofortige Meldung von Datenschutzvorfällen an
// Auftraggeber nach Art. 33 DSGVO"), the duty of the processor under Art. 33(2)
// GDPR. A [Desk] keeps the cases of one vendor:
//
//	desk, err := incident.New(db, keys, log, recorder, vendor, &incident.Options{
//		Notifiers: map[string]incident.Notifier{"smtp": mailer, "folder": folder},
//	})
//	go desk.Run(ctx)
//	c, err := desk.Open(ctx, incident.Report{Aware: t, Kind: incident.Confidentiality, Title: "…", Scope: q})
//	notices, err := desk.Notify(ctx, c.ID)
//
// [Desk.SetContact] says beforehand who is told. [Desk.Affected] counts from the
// log and the tables, [Desk.Notify] writes one notice per affected tenant,
// [Desk.Run] delivers, [Desk.AckHandler] takes the acknowledgement, and
// [Desk.Status] shows clocks and what people still have to do.
//
// # Guarantees
//
// The first notice waits for no assessment of the risk: a case needs the time of
// awareness, the kind of breach, a title and a scope. What Art. 33(3) asks for and
// nobody knows yet is printed as "to follow".
//
// Numbers are ranges and never exact: at least what the log shows, at most what the
// tables hold and what the log shows to be deleted. They stand with the checkpoint
// of the log that they rest on, and a digest that counting the same span again
// yields again. Each entry that the checkpoint covers must be there: a log with
// missing ones clears no tenant, who is then a task, and where something is left,
// or the tenant is named, the notice goes out and says so.
//
// A notice is built from the tenant's own log, tables and name and from the text
// of the report, nothing else; its text is encrypted under the tenant's key. It is
// stored as it is sent: every attempt carries the same bytes under the same id,
// which follows from case, tenant and number. A notice and its place in the queue
// commit together. Wherever the process dies, no notice is lost, and none arrives
// twice under two ids. What a channel has taken over is marked also while the
// process is being stopped. A tenant that cannot be counted, a notice that cannot
// be delivered, was held by a restore, has nobody to go to or is not acknowledged,
// and a case that touches nobody stay a [Task] in [Desk.Status] until they are
// served or [Desk.Close] ends them with a reason. A damaged row or a closed tenant
// holds up nobody else.
//
// Opening, notifying, delivering, acknowledging, closing and changing a contact are
// recorded; without the record they do not happen. Where the log of a tenant takes
// nothing any more, the platform's log does.
//
// # Not covered
//
// The decision: documents recommend, the controller decides. Assessment of the
// severity, later notices in the same case (Art. 33(4) GDPR), letters to data
// subjects, the register, reminders. Who read without changing, where the log
// keeps no reads: name such tenants in [Report].Tenants. The text of a report goes
// to every affected controller: it must name none of them. Rows that callers' SQL
// wrote or deleted leave no event: they are missing from the bounds, unless the
// tables still hold them. Entries that somebody edited in the database count as
// what they say now, and those that were removed before they were sealed not at
// all: audit.Verify finds the first, as in `art32 audit verify`; run it before.
//
// # Compatibility
//
// The API may change before version 1. Notices follow docs/formats/notice.md for
// ever.
package incident
