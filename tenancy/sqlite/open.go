package sqlite

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/lease"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/internal/outbox"
	"github.com/art32/art32/tenancy"
)

// Options are the choices of [Open]; nil and zero fields mean the defaults.
type Options struct {
	// Migrations are the user's own, files 0001_name.sql at the root. They are
	// applied to every tenant's file, when it is made and when it is next
	// opened. They may not name anything that begins with art32_. Default: none.
	Migrations fs.FS

	// Lines are migrations of the library's other packages, applied to the
	// platform's file. Default: none.
	Lines []tenancy.Line

	// Environment is what the database is: "production", or a name of the
	// caller's, such as "staging" or "test". Open stamps a database without tenants
	// with it, and refuses one that was stamped otherwise; one with tenants and no
	// stamp counts as production. Default: nothing is stamped and nothing compared.
	Environment string

	// Ledger is told of each erasure before it begins, so that a backup that is
	// restored later can be brought to the same state. Default: none.
	Ledger tenancy.ErasureLedger

	// MaxOpen is how many tenants' files stay open. More are open while more
	// are in use. Default: 100.
	MaxOpen int

	// Durability is what a committed transaction survives. Default:
	// DurabilityFull.
	Durability Durability

	// BusyTimeout is how long a writer waits for another one. Default: 5 s.
	BusyTimeout time.Duration

	// Unrecorded says what becomes of rows that callers' SQL writes and of which the
	// caller records no event. Default: tenancy.RecordUnrecorded.
	Unrecorded tenancy.Unrecorded

	// Logger receives what an operator must read once. Default: slog.Default().
	Logger *slog.Logger

	step func(name string) // tests of crashes
}

// Durability says what a committed transaction survives.
type Durability int

const (
	// DurabilityFull survives loss of power.
	DurabilityFull Durability = iota
	// DurabilityUnsafeProcess survives the end of the process only: after loss
	// of power the last transactions may be missing, and with them their audit
	// events. The database stays consistent.
	DurabilityUnsafeProcess
)

func (d Durability) pragma() string {
	if d == DurabilityUnsafeProcess {
		return "NORMAL"
	}
	return "FULL"
}

const (
	defaultMaxOpen = 100
	defaultBusy    = 5 * time.Second
)

func (o *Options) orDefault() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.MaxOpen < 0 || out.BusyTimeout < 0 || out.Durability < DurabilityFull || out.Durability > DurabilityUnsafeProcess {
		return out, errors.New("sqlite: open: options: negative or unknown value")
	}
	if out.MaxOpen == 0 {
		out.MaxOpen = defaultMaxOpen
	}
	if out.BusyTimeout == 0 {
		out.BusyTimeout = defaultBusy
	}
	if out.Logger == nil {
		out.Logger = slog.Default()
	}
	return out, nil
}

// Open opens the databases in the directory dir, which it makes where there is
// none, and brings the platform's file up to date. The file of a tenant is made
// and migrated on first use. Open refuses a directory and files that other
// users can read, a platform file that is damaged, missing beside tenants'
// files, or newer than the program. Where the keystore is an older copy, in which
// people who were erased since still have keys, those are destroyed again before
// the first use of their tenant. The caller closes the result and keys.
func Open(ctx context.Context, dir string, schema tenancy.Schema, keys *keyring.Ring, log tenancy.ChangeRecorder, o *Options) (*tenancy.DB, error) {
	opts, err := o.orDefault()
	if err != nil {
		return nil, err
	}
	if opts.Durability != DurabilityFull {
		opts.Logger.WarnContext(ctx, "sqlite: committed transactions may be lost with the power")
	}
	var lines []migrate.Line
	if keeper, ok := log.(tenancy.LineRecorder); ok {
		lines = keeper.Lines()
	}
	d, err := openDatabase(ctx, dir, lines, opts)
	if err != nil {
		return nil, err
	}
	db, err := tenancy.New(d, schema, keys, log, opts.Ledger)
	if err == nil {
		err = db.OnUnrecorded(engine.Library, opts.Unrecorded)
	}
	if err == nil {
		err = d.stamp(ctx, db)
	}
	if err == nil {
		err = db.Fits(ctx, engine.Library)
	}
	if err == nil {
		err = db.Declare(ctx, engine.Library)
	}
	if err == nil {
		err = d.reconcileWith(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return db, nil
}

//go:embed migrations
var migrations embed.FS

// PlatformLines are the lines of migrations that the platform's file holds,
// those of the log apart, for tools that tell what is pending. [Open] applies
// them.
func PlatformLines() []tenancy.Line {
	return []tenancy.Line{line("tenancy", "migrations/platform"), lease.Migrations(), outbox.Migrations()}
}

// TenantLines are the lines that each tenant's file holds, those of the log and
// of the application apart.
func TenantLines() []tenancy.Line {
	return []tenancy.Line{line("tenancy_file", "migrations/file"), outbox.Migrations()}
}

func line(name, dir string) migrate.Line {
	sub, err := fs.Sub(migrations, dir)
	if err != nil {
		sub = migrations // the line then says which files it misses
	}
	return migrate.Line{Name: name, FS: sub}
}
