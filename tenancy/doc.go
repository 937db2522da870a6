// Package tenancy keeps the data of one customer apart from every other's,
// and makes every measure follow from one declaration of a table.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung") and is the ground of TOM-5.1 and TOM-7.2: a [Repository]
// scopes each statement to the tenant of the context, seals encrypted fields,
// and hands each change to the audit log inside the same transaction.
//
// Declare a struct whose fields carry db and art32 tags, make a [Repository]
// of it, list it in a [Schema], and open an engine: package tenancy/postgres
// or tenancy/sqlite. Put tenant, actor and reason into the context with
// [WithTenant], [WithActor] and [WithReason]; then call the repository's verbs
// with a [DB] (one statement, one transaction), or inside [DB.In] and
// [DB.InSQL] with the transaction. [DB.Erase] erases a data subject,
// [DB.EraseTenant] a tenant; [DB.ErasureRecord] and [DB.TenantErasureRecord] issue
// the signed record (Löschprotokoll, docs/formats/erasure-record.md).
//
// # Tags
//
//	art32:"key"                     the row's id: a UUID, or on several columns, see Keys
//	art32:"subject"                 the id of the data subject whom the row is about
//	art32:"key,subject"             both: the row is the person
//	art32:"tenant"                  the tenant; the library fills it
//	art32:"tenant,reads"            and the log keeps who reads rows of the table
//	art32:"personal"                personal data that is not encrypted
//	art32:"open"                    no personal data
//	art32:"version"                 how often the row was written, from 1: an int64
//	art32:"index=COL:HOW"           blind index of an encrypted column, in column COL
//	art32:"index=COL:HOW,rows=N"    the same for N expected rows per tenant (default 65,536)
//	art32:"unique=COL:HOW"          the same at full width, for a unique constraint
//	art32:"plaintext=2027-01-31"    until that day, UTC, rows may still hold plaintext
//
// HOW is how values are compared: exact, casefold, email, digits, or prefix:N for
// the first N characters, see [field.Transform] and, for what it shows,
// [field.Prefix]. COL is a column of bytes (bytea, BLOB) that the struct does not
// mention.
//
// plaintext is for a column that is encrypted while the application runs. The day
// is at most a year ahead. Read [field.Migration] for what it gives up and for the
// form of the plaintext; [Column.Migration] counts the reads, and a blind index
// does not find such rows. A row is sealed when anything of it is written. [DB.Erase]
// clears the column.
//
// version lets [Repository.Update] and [Repository.Upsert] refuse with [ErrConflict]
// to write over what the caller has not read. The library counts; events leave it
// out.
//
// A field of type [field.Encrypted] needs no class. Every other column needs
// one; an unclassified column or an unknown word fails at declaration. A pointer
// field may be NULL; times are kept in microseconds.
//
// # Keys
//
// A key is one UUID, which [Repository.Insert] draws where it is nil; or a string, an
// int, int32 or int64; or several columns of these types, in the order of the struct.
// Each may have a type of its own (type CustomerID uuid.UUID). Verbs take the value, or
// for several columns a struct of the fields that are the key:
//
//	type Line struct {
//		Tenant   tenancy.ID `db:"tenant_id" art32:"tenant"`
//		Order    OrderID    `db:"order_id"  art32:"key"`
//		Position int32      `db:"position"  art32:"key"`
//	}
//	type LineKey struct {
//		Order    OrderID
//		Position int32
//	}
//	line, err := lines.Get(ctx, db, LineKey{Order: id, Position: 3})
//
// The tenant's column is no part of the key. No key is personal data: events show it,
// and no erasure clears it. A row whose key is not one UUID is named in the log by one
// that is made of it, see [Repository.Object]; renaming the table or a column of such
// a key leaves its encrypted fields unreadable. The database must give a text back as
// it was written, and compare as its bytes do: columns of type char(n) or citext, and
// collations that ignore case, do not.
//
// # Lists
//
// [Repository.List] and [Repository.Page] take clauses: filters made of columns,
// which [NewColumn] declares ([Column.Eq], [Column.Less] and their like, [Not],
// [Any]), orders ([Column.Asc], [Column.Desc]) and a [Limit]. All values are
// parameters, all names declared. [Where] takes SQL of the caller's for what those
// cannot say; it runs under the role of callers' text. [NewReference] declares what
// a column refers to. [Repository.InsertAll], [Repository.EditAll] and
// [Repository.DeleteAll] write many rows with an event for each.
//
// Package tenancy/carrier takes tenant, actor and reason through job queues and
// headers; [Key] names what a tenant owns in caches, file systems and buckets. Package
// tenancy/blob keeps attachments there, package tenancy/web finds the tenant of a
// request that no session names.
//
// # Over tenants
//
// [DB.Across] gives the vendor's support and invoices an access with a ticket and an
// end, by which the verbs that read do so for one tenant after the other. It is in the
// platform's log before it begins, and in each tenant's before a table of its is read.
//
// # Guarantees
//
// Without a tenant in the context every verb fails with [ErrNoTenant]. A row of
// another tenant is [ErrNotFound]. A change whose audit event cannot be written
// does not happen. Refusals are recorded even though their transaction rolls
// back. What callers' SQL writes and nobody recorded is recorded by table and number of
// rows, or refused: a net against forgetting, past which who wants to can get. No error
// text holds a value of a row. Who was erased stays erased, also where the keystore is
// an older copy: its keys are destroyed again before anybody is served.
//
// # Not covered
//
// What callers' SQL in [DB.InSQL] changes in a row: the log holds which table it wrote
// to, how, and how many rows ([Unrecorded]), and no more: record what an event should
// say, or use a repository. The text of a [Where] must
// be fixed in the program: it can read all of the tenant, whoever wrote it. Code
// execution inside the process, and a superuser of the database.
//
// # Compatibility
//
// The API may change before version 1. What is stored follows docs/formats and
// stays readable.
package tenancy
