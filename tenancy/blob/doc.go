// Package blob keeps what belongs to a row and is too large for it, such as
// attachments, in a folder or a bucket: encrypted, apart by tenant, and erased with the
// person whom the row is about.
//
// It carries clauses TOM-8.1 ("Logische Mandantentrennung in der SaaS-Anwendung") and
// TOM-7.2 (encryption and erasure): a bucket knows no tenants, and whoever may read it
// reads all of them.
//
// Give the table a column for the content, open a place, and make a [Store] of both:
//
//	type Attachment struct {
//		ID       uuid.UUID                 `db:"id"          art32:"key"`
//		Tenant   tenancy.ID                `db:"tenant_id"   art32:"tenant"`
//		Customer uuid.UUID                 `db:"customer_id" art32:"subject"`
//		Name     field.Encrypted[string]   `db:"name"`
//		Content  field.Encrypted[blob.Ref] `db:"content"` // bytea, BLOB
//	}
//
//	place, err := dirstore.Open(dir) // or s3store.New(client, bucket, nil)
//	files, err := blob.New(Attachments, func(a *Attachment) *field.Encrypted[blob.Ref] { return &a.Content }, place, nil)
//
//	err = files.Put(ctx, db, &Attachment{Customer: c, Name: field.New(name)}, body)
//	a, err := Attachments.Get(ctx, db, id)
//	r, err := files.Open(ctx, &a)          // http.ServeContent takes r
//	err = files.Delete(ctx, db, id)
//	n, err := files.Sweep(ctx, db)         // for each tenant, daily
//
// Name, type and whatever else there is to say are columns of the table; lists, filters
// and events are those of its repository.
//
// # Guarantees
//
// Each content has a random key of its own, which lies in its row alone, encrypted
// under the key of the row's data subject. So [tenancy.DB.Erase], [tenancy.DB.Reseal]
// and [tenancy.DB.DestroyRetired] do all that they do for any other cell, and no object
// is ever written a second time. Without the row an object opens for nobody: one whose
// row was deleted, and one that was copied, renamed, cut, changed, or put back from
// before. Names in the place are random ids below the tenant's: what a file is called
// never becomes a path, nor does it show.
//
// A row never lacks its content: the object comes before the row and goes after it. No
// content is put or deleted without its event, which is the row's. The memory that is
// used does not depend on a content's length.
//
// # Not covered
//
// The place shows how many contents a tenant has, how long each is and when it was
// written. Whoever may write it can destroy contents: keep versions, or a copy
// elsewhere. A row that was read over tenants (tenancy.DB.Across) opens its content as
// long as the program holds it, also when the access is over: give Options.Reads.
// Backups of this library hold the rows and not the objects: let the bucket
// keep what was deleted for as long as backups of the rows live; then a restored row
// finds its content. Types and viruses of what users send. What was read before an
// erasure, and readers that are open.
//
// # Compatibility
//
// The API may change before version 1. References and objects of docs/formats/blob.md
// open in all later versions.
package blob
