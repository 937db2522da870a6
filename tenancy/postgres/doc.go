// Package postgres is the PostgreSQL engine of package tenancy: many tenants in
// shared tables, kept apart by the database itself.
//
// It carries clause TOM-8.1. [Setup] prepares a database once with the owner's
// login; [Open] works with two others. Text that the library wrote runs under
// the library login and row-level security. Text that a caller wrote runs under
// the app login and a sealed context: tenant, actor and session under an HMAC
// that the database verifies, so that no SQL can switch them
// (docs/formats/sealed-context.md). A migration puts a table under protection
// with one line: SELECT art32.protect('customers').
//
// # Guarantees
//
// Isolation costs no round trip: context, statement and event travel as one
// pipeline. [Open] refuses a database in which a login could step over the
// policies, with the complete list of what is wrong and how to mend it. A
// connection that ran callers' text is reset before its next use.
//
// # Not covered
//
// A superuser of the database, and code that runs inside the process. Where
// [Setup] ran as an owner who is no superuser, callers' text can still use large
// objects, which all tenants share, and read what other sessions execute.
// Callers' text can change the password and the settings of its own login,
// which [Open] notices. The server's own log quotes values in the errors that it
// writes down. The seal
// of a transaction expires after 60 seconds by the database's clock; the clocks
// of application and database may differ by at most 30 seconds, else callers'
// text is refused.
//
// # Compatibility
//
// PostgreSQL 15 and later. The API may change before version 1.
package postgres
