package backup

import (
	"context"
	"io"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
)

// Source is a database that can be read as it was at one moment.
type Source interface {
	// Engine is "sqlite" or "postgres".
	Engine() string
	// Snapshot opens a view of the whole database. It refuses a login that would
	// not see all rows, and a database of which it could not carry a table.
	Snapshot(ctx context.Context) (Snapshot, error)
}

// Snapshot is one view of a [Source]. It is used by one goroutine and closed.
type Snapshot interface {
	// Position says where in the database's history the view lies, as far as the
	// database can say; for people.
	Position() string
	// Tenants are those that have a part of their own, also when it is empty.
	Tenants() []tenancy.ID
	// Excluded are the tables that no part holds, each with its reason.
	Excluded() []Excluded
	// Write hands all rows to sink, the tenants' in any order and interleaved.
	Write(ctx context.Context, sink Sink) error
	// Keystore hands the files of the keystore to file. It is called after Write,
	// so that every key that a row needs is among them.
	Keystore(ctx context.Context, file func(name string, size int64, r io.Reader) error) error
	// Close ends the view and removes what it needed.
	Close() error
}

// Excluded is a table that a backup leaves out.
type Excluded struct {
	Table  string `json:"table"`  // its name
	Reason string `json:"reason"` // a sentence for people
}

// Sink takes the files of a backup's parts.
type Sink interface {
	// File adds a file to the part of a tenant, or of what tenants share for the
	// zero id. r yields exactly size bytes.
	File(ctx context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error
	// Table notes what the part of a tenant holds of a table; once per tenant and
	// table, after its last file.
	Table(tenant tenancy.ID, t Table)
}

// Table is what a part holds of one table, for the comparison after a restore.
type Table struct {
	Name string `json:"name"` // as its engine names it
	Rows int64  `json:"rows"` // that the part holds
	// Fingerprint depends on every row and not on their order: the sum of the
	// rows' SHA-256, modulo 2^256, in hexadecimal.
	Fingerprint string `json:"fingerprint"`
}

// Destination is an empty place that a backup is restored into. Its methods are
// called in their order; Abort may come at any time and removes what was begun.
type Destination interface {
	// Engine is "sqlite" or "postgres".
	Engine() string
	// Begin refuses a place that holds anything.
	Begin(ctx context.Context) error
	// Keystore takes a file of the keystore.
	Keystore(ctx context.Context, name string, size int64, r io.Reader) error
	// File takes a file of a part. What tenants share comes first.
	File(ctx context.Context, tenant tenancy.ID, name string, size int64, r io.Reader) error
	// Loaded checks what was loaded and counts it by tenant. Messages that wait
	// in the outbox are held, sessions and leases are gone.
	Loaded(ctx context.Context) (map[tenancy.ID][]Table, error)
	// Open opens what was loaded, for the replay of the erasures. log makes the
	// log that the erasures are recorded in.
	Open(ctx context.Context, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error)) (*Opened, error)
	// Finish makes the place usable: nothing could open it before.
	Finish(ctx context.Context) error
	// Abort removes what was begun, as far as it can.
	Abort(ctx context.Context) error
}

// Opened is a restored database that nobody uses yet.
type Opened struct {
	DB    *tenancy.DB    // the database
	Keys  *keyring.Ring  // its keys
	Store keyring.Lister // the keystore below them
	Close func() error   // closes all of them
}

// Target is where backups lie. Names are of letters, digits and . _ - /.
type Target interface {
	// Create begins an object. It becomes visible under its name with Commit, as
	// a whole, durably, and only where none of that name is there.
	Create(ctx context.Context, name string) (Object, error)
	// Open reads an object; an error around [fs.ErrNotExist] where there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// List gives the names of the objects below a prefix, sorted.
	List(ctx context.Context, prefix string) ([]string, error)
	// Remove removes an object; one that is not there is no error.
	Remove(ctx context.Context, name string) error
}

// Object is an object that is being written. Exactly one of Commit and Abort
// ends it; Abort after Commit does nothing.
type Object interface {
	io.Writer
	// Commit makes the object visible, as a whole and for good.
	Commit(ctx context.Context) error
	// Abort gives it up.
	Abort() error
}
