// Command minimal is the smallest program: one table, one tenant, one row that
// is scoped, encrypted, audited and sealed, on embedded SQLite.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// region declare

// Note is one row. Each column has a class: the roles key, subject and tenant,
// a field.Encrypted, or art32:"personal" or art32:"open" in clear.
type Note struct {
	ID     uuid.UUID               `db:"id"        art32:"key"`
	Tenant tenancy.ID              `db:"tenant_id" art32:"tenant"`
	Author uuid.UUID               `db:"author_id" art32:"subject"`
	Text   field.Encrypted[string] `db:"text"`
	Pinned bool                    `db:"pinned"    art32:"open"`
}

// Notes reads and writes them.
var Notes = tenancy.MustRepository[Note]("notes")

//go:embed migrations
var files embed.FS // migrations/0001_notes.sql creates the table

// endregion

// region use

func use(ctx context.Context, db *tenancy.DB, out io.Writer) error {
	ctx = tenancy.WithActor(ctx, tenancy.MustService("minimal")) // a session sets a person
	t, err := db.CreateTenant(ctx, tenancy.Tenant{Name: "Nordlicht GmbH"})
	if err != nil {
		return err
	}
	ctx = tenancy.WithTenant(ctx, t.ID) // every verb is scoped to it; without one it fails
	n := Note{Author: uuid.New(), Text: field.New("call back on Monday")}
	if err := Notes.Insert(ctx, db, &n); err != nil {
		return err
	}
	for n, err := range Notes.List(ctx, db) {
		if err != nil {
			return err
		}
		text, err := n.Text.Reveal() // n itself prints, logs and marshals as [encrypted]
		if err != nil {
			return err
		}
		fmt.Fprintln(out, text)
	}
	return db.Erase(ctx, n.Author) // from here on Reveal answers field.ErrErased
}

// endregion

func main() {
	dir := "minimal-data"
	if err := run(context.Background(), dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// region open

func run(ctx context.Context, dir string, out io.Writer) error {
	store, err := sqlite.OpenKeystore(ctx, dir) // makes the folder
	if err != nil {
		return err
	}
	defer store.Close()
	path := filepath.Join(dir, "root.key") // keep a copy elsewhere: without it nothing can be read
	if err := keyring.CreateKeyFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	root, err := keyring.KeyFile(path)
	if err != nil {
		return err
	}
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return err
	}
	log, err := audit.New(keys, nil)
	if err != nil {
		return err
	}
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, dir, tenancy.Schema{Notes}, keys, log, &sqlite.Options{Migrations: migrations})
	if err != nil {
		return err
	}
	defer db.Close() // each commit has reached the disk already
	if err := use(ctx, db, out); err != nil {
		return err
	}
	sealer, err := audit.NewSealer(log, db, nil)
	if err != nil {
		return err
	}
	_, err = sealer.SealDue(ctx) // a server runs sealer.Run(ctx) beside its handlers
	return err
}

// endregion
