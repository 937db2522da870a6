package sqlite

import (
	"context"
	"fmt"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// stamp says what environment the database is, and refuses one that is another.
func (d *database) stamp(ctx context.Context, db *tenancy.DB) error {
	want := d.o.Environment
	if want == "" {
		return nil
	}
	if err := tenancy.CheckEnvironment(want); err != nil {
		return err
	}
	tx, err := d.Begin(ctx, engine.Scope{})
	if err != nil {
		return err
	}
	stamp := engine.Stmt{SQL: engine.Stamp(migrate.SQLite), Args: []any{want}}
	if _, err := tx.Run(ctx, stamp, engine.Commit, nil); err != nil {
		return err
	}
	is, err := db.Environment(ctx)
	if err == nil && is != want {
		err = &RefusedError{File: platformName, Findings: []Finding{{
			fmt.Sprintf("the database counts as %s and not as %s", is, want),
			"check the directory; a copy that is no longer what it was stamped as: DELETE FROM art32_environment and INSERT the new name, with sqlite3",
		}}}
	}
	return err
}
