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
// heirs of a protected table that are not protected themselves, a table or column
// that no migration so much as names, a declared table that is none, or a table
// that refers to one that is left out. Tables are locked against TRUNCATE before the
// moment that is read, since an emptied table looks empty to older transactions.
//
// # A restore
//
// The superuser's connection runs statements of this package alone: it makes the
// roles and a login for the time of the restore, with a random password and the
// rights of the owner of the tables. All that comes out of the backup is run,
// loaded and read back with that login, so that neither a text nor what it leaves
// behind, as a trigger does, has more rights than that; Finish and Abort take
// the login away. Begin marks the database with the schema art32_restoring: of two
// restores one begins, and until Finish postgres.Setup, Migrate and Open refuse
// the database, which may hold people who were erased. If a restore dies, drop
// the database, and the role that the refusal names. Abort empties the database
// where the mark is its own, and takes no right that reaches beyond it: where the
// owner of the tables was there before and has such rights, the database is to be
// dropped by hand. Partitions that were detached, moved or dropped by hand hang
// afterwards as they hung.
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
// Tables and columns that no migration makes: the source refuses those that no
// migration names, and the restore those that it finds missing, naming them.
// Migrations that need more rights than those of the owner of the tables, as by
// RESET ROLE. A foreign key from a table that tenants share to rows of a tenant
// whose backups were forgotten: it does not hold any more, and stops the restore.
// A restore by hand with psql runs the texts of the backup with a superuser's
// rights: check the signature before. Large
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
