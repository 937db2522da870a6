package sqlitesource

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/art32/art32/backup"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/tenancy"
	"github.com/art32/art32/tenancy/sqlite"
)

// Open implements [backup.Destination]. The tables are those that the
// application declared last.
func (d *Destination) Open(ctx context.Context, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error)) (*backup.Opened, error) {
	schema, err := d.declared(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlitesource: open: %w", err)
	}
	store, err := sqlite.OpenKeystore(ctx, d.keys.draft)
	if err != nil {
		return nil, fmt.Errorf("sqlitesource: open: %w", err)
	}
	o := &backup.Opened{Store: store, Close: store.Close}
	if err := d.open(ctx, o, store, schema, root, log); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitesource: open: %w", err), o.Close())
	}
	return o, nil
}

func (d *Destination) open(ctx context.Context, o *backup.Opened, store *sqlite.Keystore, schema tenancy.Schema, root keyring.Wrapper, log func(*keyring.Ring) (tenancy.ChangeRecorder, error)) error {
	keys, err := keyring.New(root, store, nil)
	if err != nil {
		return err
	}
	if _, err := keys.Check(ctx); err != nil { // before anything is written with another root
		return err
	}
	recorder, err := log(keys)
	if err != nil {
		return err
	}
	o.Keys = keys
	o.DB, err = sqlite.Open(ctx, d.data.draft, schema, keys, recorder, &sqlite.Options{Migrations: d.o.Migrations})
	if err != nil {
		return err
	}
	o.Close = func() error { return errors.Join(o.DB.Close(), store.Close()) }
	return nil
}

// declared reads the tables out of the platform's file.
func (d *Destination) declared(ctx context.Context) (tenancy.Schema, error) {
	path, text := d.path(tenancy.ID{}), ""
	err := with(ctx, path, readOnly, func(c *sql.Conn) error {
		return c.QueryRowContext(ctx, "SELECT info FROM art32_declared WHERE one = 1").Scan(&text)
	})
	if err != nil {
		return nil, unreadable(ctx, path, err)
	}
	var infos []tenancy.TableInfo
	if err := json.Unmarshal([]byte(text), &infos); err != nil {
		return nil, errors.New("the description of the tables is damaged")
	}
	return tenancy.Described(infos)
}
