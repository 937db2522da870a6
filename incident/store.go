package incident

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

//go:embed postgres/*.sql sqlite/*.sql
var migrations embed.FS

// Line is the package's line of migrations, of the platform's database: pass it
// in sqlite.Options.Lines or postgres.SetupOptions.Lines.
func Line() tenancy.Line { return migrate.Line{Name: "incident", FS: migrations} }

// table is the name of one of the package's tables.
func (d *Desk) table(name string) string {
	return engine.Table(d.db.Engine(engine.Library).Dialect(), name)
}

// inTx runs fn in a transaction of the platform and commits.
func (d *Desk) inTx(ctx context.Context, fn func(engine.Tx) error) error {
	t, err := d.db.Engine(engine.Library).Begin(ctx, engine.Scope{})
	if err != nil {
		return wrap("begin", err)
	}
	if err := fn(t); err != nil {
		return errors.Join(err, t.Rollback(context.WithoutCancel(ctx)))
	}
	return wrap("commit", t.Commit(ctx))
}

// read runs one query of the platform.
func (d *Desk) read(ctx context.Context, s engine.Stmt, row func(engine.Row) error) error {
	t, err := d.db.Engine(engine.Library).Begin(ctx, engine.Scope{})
	if err != nil {
		return wrap("begin", err)
	}
	if _, err := t.Run(ctx, s, engine.Commit, row); err != nil {
		return errors.Join(wrap("read", err), t.Rollback(context.WithoutCancel(ctx)))
	}
	return nil
}

func wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("incident: %s: %w", verb, err)
}

// seal encrypts v as JSON for a row under the tenant's key, or the platform's for
// the zero id.
func (d *Desk) seal(ctx context.Context, tenant tenancy.ID, table string, row uuid.UUID, v any) ([]byte, error) {
	c, err := d.keys.TenantCipher(ctx, tenant.UUID())
	if err != nil {
		return nil, wrap("key", err)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, wrap("encode", errors.New("a text has no form in JSON"))
	}
	defer clear(plain)
	out, err := c.Seal(nil, plain, bodyScope(tenant, table, row))
	return out, wrap("seal", err)
}

// open decrypts what seal made.
func (d *Desk) open(ctx context.Context, tenant tenancy.ID, table string, row uuid.UUID, sealed []byte, v any) error {
	c, err := d.keys.TenantCipher(ctx, tenant.UUID())
	if err != nil {
		return wrap("key", err)
	}
	plain, err := c.Open(nil, sealed, bodyScope(tenant, table, row))
	if err != nil {
		return wrap("open", err)
	}
	defer clear(plain)
	if json.Unmarshal(plain, v) != nil { // its error quotes the text
		return wrap("open", errors.New("a stored text is not in its form"))
	}
	return nil
}

func bodyScope(tenant tenancy.ID, table string, row uuid.UUID) field.Scope {
	return field.Scope{Tenant: tenant.String(), Table: "art32." + table, Column: "body", Row: row.String()}
}

// now is the time as it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// at is a stored time; 0 stands for none.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
