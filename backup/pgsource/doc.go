// Package pgsource backs up and restores a PostgreSQL database of package
// tenancy, split by tenant.
//
// It carries clauses TOM-7.1, TOM-7.2 and TOM-7.3. [New] is the [backup.Source],
// with the login that postgres.Setup made for backups; [Into] is the
// [backup.Destination], an empty database and a superuser's login:
//
//	src, err := pgsource.New(logins.Backup, &pgsource.Options{Lines: lines, Migrations: files})
//	job, err := backup.New(src, target, vault, keys, recorder, nil)
//
//	dst, err := pgsource.Into(ownerDSN, &pgsource.IntoOptions{Lines: lines, Migrations: files})
//	res, err := backup.Restore(ctx, target, run, dst, options)
//	logins := dst.Logins()
//
// # What is carried
//
// All ordinary, unlogged and partitioned tables of all schemas, each row once,
// in COPY's text format, as of one moment; the texts of all migrations, from
// which a restore makes the tables; partitions that were made without one; where
// the sequences stand. Rows of a table under art32.protect, and of art32's own
// tables, go to the part of their tenant. What tenants share holds the rest:
// tables without a tenant, rows of the platform, and rows of a tenant that
// art32.tenants does not know. A table that inherits from another is read apart.
//
// Left out, each with its reason in the manifest: sessions and leases, which a
// restore ends; the key of the seal, drawn anew; materialized views, made anew;
// foreign tables; tables of extensions; what [Options.Exclude] names. The
// keystore is copied apart, after the rows.
//
// # Never an empty backup
//
// PostgreSQL hides rows without an error from a login that row-level security
// applies to. The transaction therefore runs with row_security = off, under which
// that is an error, and a snapshot is refused before, with the complete list and
// the statements that mend it, while the login is neither BYPASSRLS nor
// superuser or may not read a table or sequence ([backup.ErrRole]); while the
// database is not one that art32 set up, lacks a table that the application
// declares, or its keystore lacks the key of a tenant; while the text of an
// applied migration is not at hand; while there are large objects, tables of
// extensions with rows of the user's, partitions on other servers, partitions or
// heirs of a protected table that are not protected themselves, or a table that
// refers to one that is left out. Tables are locked against TRUNCATE before the
// moment that is read, since an emptied table looks empty to older transactions.
//
// # Guarantees
//
// Rows wait in memory for their file for at most 64 MiB in all, however many
// tenants there are, and a row for as long as it is large. A restore is one
// transaction: it demands that every foreign key holds, and counts and
// fingerprints the rows as they were read. What waits in the outbox is held, and
// sent by nobody. No error holds a value of a row.
//
// # Not covered
//
// Tables that no migration makes: the restore refuses, naming them. Large
// objects, roles and rights that no migration gives, tablespaces, comments,
// statistics, subscriptions. A restore into a hosted server without a superuser.
// Point-in-time recovery is left to pgBackRest or WAL-G.
//
// # Compatibility
//
// PostgreSQL 15 and later; the server that is restored into must not be older.
// The files open with psql: schema.sql and load.sql in what tenants share
// (docs/formats/backup.md).
package pgsource
