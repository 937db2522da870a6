package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/audit"
	"github.com/art32/art32/crypto/keyring"
	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/internal/migrate"
	"github.com/art32/art32/tenancy"
)

// source is a database of which nothing is changed. One goroutine uses it.
type source interface {
	dialect() migrate.Dialect
	// begin opens a transaction that sees the rows of a tenant, or with the nil
	// id those of the platform.
	begin(ctx context.Context, tenant uuid.UUID) (*sql.Tx, error)
	// explain says an error of the driver without the value of any row.
	explain(tenant uuid.UUID, err error) error
	// logs lists whose logs there should be, the platform first, and what
	// contradicts itself about them.
	logs(ctx context.Context) ([]subject, error)
	// moved reports whether the rows of a tenant changed under a reading that
	// assumed they would not; the next reading does not assume it.
	moved(tenant uuid.UUID) bool
	// platform is the handle on the platform's database, once something of it was
	// read; else nil.
	platform() *sql.DB
	close() error
}

// subject is the platform or one tenant, and what is wrong with it before its
// log is looked at.
type subject struct {
	tenant tenancy.ID // zero: the platform
	wrong  []string
	absent bool // there is nothing to read
}

func (s subject) name() string { return nameOf(s.tenant) }

const platformName = "platform"

func nameOf(tenant tenancy.ID) string {
	if tenant.IsZero() {
		return platformName
	}
	return tenant.String()
}

// reader is an engine on a source: what verification and export work on, since
// they need rows and no keys. It refuses whatever writes.
type reader struct{ source }

var _ engine.Engine = reader{}

// placeholders stands for the application's tables, which this program does not
// know. It is a description: no database has such a table, and none must.
var placeholders, _ = tenancy.Described([]tenancy.TableInfo{{
	Name: "placeholder", Key: "id", Tenant: "tenant_id",
	Columns: []tenancy.ColumnInfo{{Name: "id", Class: tenancy.Open}, {Name: "tenant_id", Class: tenancy.Open}},
}})

// readOnly opens a source as a database without keys.
func readOnly(s source) (*tenancy.DB, error) {
	return tenancy.New(reader{s}, placeholders, &keyring.Ring{}, &audit.Log{}, nil)
}

// readTables opens a source with the tables that the application last opened it
// with. Of closed tenants it shows nothing, as the engines do.
func readTables(ctx context.Context, s source, keys *keyring.Ring) (*tenancy.DB, error) {
	schema, err := declaredBy(ctx, s)
	if err != nil {
		return nil, err
	}
	e := openReader{reader{s}, map[uuid.UUID]bool{}}
	err = each(ctx, s, uuid.Nil, func(r engine.Row) error {
		var text string
		err := r.Scan(&text)
		if id, perr := tenancy.ParseID(text); perr == nil {
			e.closed[id.UUID()] = true
		}
		return err
	}, "SELECT CAST(id AS TEXT) FROM "+engine.Table(s.dialect(), "tenants")+" WHERE closed_at IS NOT NULL")
	if err != nil {
		return nil, err
	}
	return tenancy.New(e, schema, keys, &audit.Log{}, nil)
}

// openReader is a reader of tenants that are not closed.
type openReader struct {
	reader

	closed map[uuid.UUID]bool
}

func (r openReader) Begin(ctx context.Context, s engine.Scope) (engine.Tx, error) {
	if r.closed[s.Tenant] {
		return nil, &engine.Error{Kind: engine.UnknownTenant}
	}
	return r.reader.Begin(ctx, s)
}

func (r reader) Dialect() migrate.Dialect { return r.dialect() }

func (r reader) Begin(_ context.Context, s engine.Scope) (engine.Tx, error) {
	return &readTx{source: r.source, tenant: s.Tenant}, nil
}

// BeginRead implements [engine.Engine]: no text of a caller's is run.
func (reader) BeginRead(context.Context, engine.Scope) (engine.Tx, error) { return nil, errReadOnly }

func (reader) BeginSQL(context.Context, engine.Scope) (engine.SQLTx, error) { return nil, errReadOnly }

func (reader) Platform() *sql.DB { return nil }

func (r reader) Close() error { return r.close() }

var errReadOnly = &engine.Error{Kind: engine.Forbidden, Text: "this connection only reads"}

// readTx is a transaction that only reads; its end is always a rollback.
type readTx struct {
	source

	tenant uuid.UUID
	tx     *sql.Tx
}

var _ engine.Tx = (*readTx)(nil)

func (t *readTx) Dialect() migrate.Dialect { return t.dialect() }

func (t *readTx) Role() engine.Role { return engine.RoleLibrary }

// Queue refuses by an error of Run: what is queued are writes.
func (t *readTx) Queue(engine.Stmt) {}

func (t *readTx) Run(ctx context.Context, s engine.Stmt, end engine.End, row func(engine.Row) error) (n int64, err error) {
	if t.tx == nil {
		if t.tx, err = t.begin(ctx, t.tenant); err != nil {
			return 0, t.explain(t.tenant, err)
		}
	}
	n, err = t.query(ctx, s, row)
	if err == nil && s.Rows != 0 && n != s.Rows {
		err = &engine.Error{Kind: engine.WrongRows}
	}
	if err != nil || end == engine.Commit {
		err = errors.Join(err, t.Rollback(ctx))
	}
	return n, err
}

func (t *readTx) query(ctx context.Context, s engine.Stmt, row func(engine.Row) error) (n int64, err error) {
	rows, err := t.tx.QueryContext(ctx, s.SQL, s.Args...)
	if err != nil {
		return 0, t.explain(t.tenant, err)
	}
	defer rows.Close()
	for ; rows.Next(); n++ {
		if row == nil {
			continue
		}
		if err := row(plainRow{rows}); err != nil {
			return n, t.explain(t.tenant, err)
		}
	}
	return n, t.explain(t.tenant, rows.Err())
}

func (t *readTx) Commit(ctx context.Context) error { return t.Rollback(ctx) }

func (t *readTx) Rollback(context.Context) error {
	if t.tx == nil {
		return nil
	}
	err := t.tx.Rollback()
	t.tx = nil
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return t.explain(t.tenant, err)
}

// plainRow scans without quoting a value that does not fit.
type plainRow struct{ rows *sql.Rows }

func (r plainRow) Scan(dest ...any) error {
	dest = slices.Clone(dest)
	for i := range dest {
		switch t := dest[i].(type) {
		case *time.Time:
			dest[i] = (*rowTime)(t)
		case **time.Time:
			dest[i] = maybeTime{t}
		}
	}
	if err := r.rows.Scan(dest...); err != nil {
		return &engine.Error{Kind: engine.BadValue, Text: "a row holds a value of a type that its table does not allow: it was altered"}
	}
	return nil
}

// rowTime takes a time also where it is stored as text, as SQLite does.
type rowTime time.Time

// Scan implements sql.Scanner.
func (t *rowTime) Scan(v any) error {
	switch v := v.(type) {
	case time.Time:
		*t = rowTime(v.UTC())
		return nil
	case string:
		at, err := time.Parse(time.RFC3339Nano, v)
		*t = rowTime(at.UTC())
		return err
	}
	return errors.New("no time")
}

// maybeTime is rowTime where there may be none.
type maybeTime struct{ to **time.Time }

// Scan implements sql.Scanner.
func (m maybeTime) Scan(v any) error {
	*m.to = nil
	if v == nil {
		return nil
	}
	var t rowTime
	err := t.Scan(v)
	*m.to = (*time.Time)(&t)
	return err
}

// each runs a query on the rows of a tenant.
func each(ctx context.Context, s source, tenant uuid.UUID, row func(engine.Row) error, query string, args ...any) error {
	t := &readTx{source: s, tenant: tenant}
	_, err := t.Run(ctx, engine.Stmt{SQL: query, Args: args}, engine.Commit, row)
	return err
}

// maxStirred is how often a log is read whose file somebody opens and closes.
const maxStirred = 8

var errStirred = errors.New("somebody opens and closes it all the time: repeat it")

// verifyLog checks one log, once more if somebody opened its file meanwhile.
func verifyLog(ctx context.Context, s source, db *tenancy.DB, tenant tenancy.ID, o *audit.VerifyOptions) (*audit.Report, error) {
	for range maxStirred {
		r, err := audit.Verify(ctx, db, tenant, o)
		if !s.moved(tenant.UUID()) {
			return r, err
		}
	}
	return nil, errStirred
}

// created lists the tenants whose creation the platform's log tells.
func created(ctx context.Context, s source) (map[tenancy.ID]bool, error) {
	all := map[tenancy.ID]bool{}
	query := "SELECT CAST(object AS TEXT) FROM " + engine.Table(s.dialect(), "events") +
		" WHERE tenant_id = $1 AND action = 'tenant.create' AND outcome = 1 AND object IS NOT NULL"
	err := each(ctx, s, uuid.Nil, func(r engine.Row) error {
		var text string
		err := r.Scan(&text)
		if id, perr := tenancy.ParseID(text); perr == nil {
			all[id] = true
		}
		return err
	}, query, uuid.Nil.String())
	return all, err
}

// heldBy names the migrations that the platform's database of a source holds.
func heldBy(ctx context.Context, s source) (map[string]bool, error) {
	all := map[string]bool{}
	err := each(ctx, s, uuid.Nil, func(r engine.Row) error {
		var line, name string
		err := r.Scan(&line, &name)
		all[line+"/"+name] = true
		return err
	}, "SELECT line, name FROM "+engine.Table(s.dialect(), "migrations"))
	return all, err
}

// narrow keeps the log that --tenant names.
func narrow(all []subject, tenant string) ([]subject, error) {
	if tenant == "" {
		return all, nil
	}
	for _, s := range all {
		if s.name() == tenant {
			return []subject{s}, nil
		}
	}
	return nil, fmt.Errorf("--tenant %s: no such tenant in this database", tenant)
}

// checkTenant reads the value of --tenant.
func checkTenant(text string) (string, error) {
	if text == "" || text == platformName {
		return text, nil
	}
	id, err := tenancy.ParseID(text)
	if err != nil {
		return "", usagef("--tenant is neither the word platform nor a UUID of 36 characters")
	}
	return id.String(), nil
}

// openSource opens what the target names.
func openSource(ctx context.Context, t *target) (source, error) {
	if t.data != "" {
		return openFiles(ctx, t.data)
	}
	return openLogin(ctx, t.dsn)
}
