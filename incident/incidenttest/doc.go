// Package incidenttest helps to test what tells controllers about incidents
// (TOM-9.2): a [Notifier] that collects, and a kit that any incident.Notifier must
// pass.
//
// Give [Notifier] to a desk in place of a real channel, and look at
// [Notifier.Notices] afterwards. Run [RunNotifier] over a channel of your own.
//
// # Guarantees
//
// Each of the [Cases] fails for at least one notifier that is broken on purpose.
//
// # Not covered
//
// Whether somebody reads what arrives.
//
// # Compatibility
//
// The API may change before version 1. Cases may be added.
package incidenttest
