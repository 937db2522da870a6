// Package sqlite is the embedded engine of package tenancy: one SQLite file per
// tenant, so that no statement can reach the rows of another.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung") for programs on one machine. [Open] gives the
// [tenancy.DB]; [OpenKeystore] gives the place for the keys.
//
//	DIR/platform.db        tenants, leases, what belongs to no tenant
//	DIR/tenants/UUID.db    the rows, events and messages of one tenant
//	DIR/keystore.db        wrapped keys; never part of a backup of the data
//
// Tables of the user come from [Options].Migrations. Store a [uuid.UUID] as
// TEXT, a [time.Time] as TIMESTAMP, an encrypted field as BLOB, a bool as
// INTEGER: raw SQL then reads them back into the same Go types.
//
// # Guarantees
//
// Text that a caller wrote ([tenancy.DB.InSQL]) reads and writes rows of the
// caller's tables in the tenant's file, and nothing else: no other file, no
// table of the library, no schema, no setting, no transaction. SQLite's
// authorizer judges every statement on every connection; what is not known to
// be harmless is refused. Nothing that a caller supplies becomes a path.
//
// What callers' text writes is counted row by row, triggers and foreign keys included,
// and recorded ([tenancy.Unrecorded]). Tables of SQLite's own below a virtual table
// count under their own names.
//
// Every transaction that writes begins as a writer; a failed statement ends it.
// A commit has reached the disk when it returns. A tenant's file appears whole
// or not at all, and is never made anew where it once was. After a crash a file
// is checked before it is used.
//
// [Open] refuses declared tables that [Options].Migrations do not make, and the
// first use of a tenant a file that lacks any of them, with the complete list
// ([RefusedError]).
//
// # Not covered
//
// Code execution inside the process, and other programs that open the files.
// Statements that use up memory or time: a value has at most 128 MiB, but a statement
// can make several; give the context a deadline. Rows that callers' text writes into its
// own tenant's file under another tenant's id: nobody reads them there, and the probes
// report them. A changed byte inside a stored value: SQLite has no checksums of its own; encrypted
// fields and the audit log show it. A tenant that another process closes is
// noticed within a second.
//
// # Compatibility
//
// The files are SQLite 3 databases and stay readable with its tools. The tables
// art32_tenants, art32_files and art32_home keep their columns.
package sqlite
