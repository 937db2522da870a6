// Package sqlitesource backs up and restores what package tenancy/sqlite keeps:
// one file per tenant, the platform's file, the keystore.
//
// It carries clauses TOM-7.1 (regular backups) and TOM-7.3 (tested restore) for
// the embedded engine. [New] gives the [backup.Source], [Into] the
// [backup.Destination]:
//
//	job, err := backup.New(sqlitesource.New(dir, nil), target, vault, keys, recorder, nil)
//	res, err := backup.Restore(ctx, target, run, sqlitesource.Into(newDir, nil), o)
//
// The parts hold the files under the names that they have in the directory, so
// that a restore by hand puts them back:
//
//	shared             platform.db
//	each tenant        tenants/UUID.db
//	keystore's copy    keystore.db
//
// # Guarantees
//
// Each file is copied by SQLite itself while others write, as it was at one
// moment, without what was deleted, and every page of the copy is checked. The
// platform's file comes last: it names no tenant's file that is missing. The
// keystore comes after it: it holds every key that a row needs. One copy at a
// time lies on the disk, readable by its owner, in the directory itself. What a
// killed run leaves is removed by the next.
//
// A restore fills a folder beside its place, which gets its name at the end; data
// and keystore get theirs both, or neither does. A folder in its way that
// somebody else could have filled is refused. It needs neither the application's
// structs nor its migrations.
//
// # Not covered
//
// One moment for all files: the tenants' files are up to a run's length older
// than the platform's. Files of the application's own in the directory.
// Virtual tables are carried and not counted, the tables below them are. On
// systems without flock two runs at once on one directory. A restore into a
// directory where others can rename what is not theirs (writable by all, without
// the sticky bit).
//
// # Compatibility
//
// The names of the files are those of tenancy/sqlite and stay.
package sqlitesource
