package probe

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
	"github.com/art32/art32/tenancy"
)

// actor is who the transactions of a probe name.
const actor = "service:probe"

// prober is one run: the engine, two tenants, and what is tried on.
type prober struct {
	eng     engine.Engine
	a, b    uuid.UUID // a attacks
	tables  []table
	version string // of the database
	number  int    // PostgreSQL: server_version_num
	now     func() time.Time
}

// table is one that holds rows of tenants. Its names are quoted but for the first.
type table struct {
	name        string // as reported
	sql         string
	tenant, key string // columns; key is "" where there is none of one column
	columns     string // those that an INSERT may name
	conflict    string // those of the primary key; "" for none
	uuidKey     bool
	declared    bool
	ofA, ofB    int64 // rows
	rowA, rowB  string
}

// keyOf is the column by which a probe names a row: that of the key, or the first of
// several.
func keyOf(in tenancy.TableInfo) string {
	if len(in.Keys) > 0 {
		return in.Keys[0].Name
	}
	return in.Key
}

// names are the declared tables.
func (p *prober) names() (all []string) {
	for _, t := range p.tables {
		if t.declared {
			all = append(all, t.name)
		}
	}
	return all
}

// prepare finds tables and tenants.
func (p *prober) prepare(ctx context.Context, db *tenancy.DB, tenants [2]tenancy.ID) error {
	schema, err := tenancy.Declared(ctx, p.eng)
	if err != nil {
		return err
	}
	p.a, p.b = tenants[0].UUID(), tenants[1].UUID()
	if tenants[0].IsZero() || tenants[1].IsZero() {
		if p.a, p.b, err = p.choose(ctx, db, schema.Info()); err != nil {
			return err
		}
	}
	if p.a == p.b {
		return ErrNoTenants
	}
	if engineOf(db) == SQLite {
		return p.prepareSQLite(ctx, schema.Info())
	}
	return p.preparePostgres(ctx, schema.Info())
}

// most is how many tenants are looked at for rows.
const most = 200

// choose finds the two tenants that have rows in the most tables.
func (p *prober) choose(ctx context.Context, db *tenancy.DB, tables []tenancy.TableInfo) (a, b uuid.UUID, err error) {
	tenants, err := p.open(ctx, db)
	if err != nil {
		return a, b, err
	}
	filled := map[uuid.UUID]int{}
	full := 0
	for _, id := range tenants[:min(len(tenants), most)] {
		n, err := p.filled(ctx, id, tables)
		if err != nil {
			return a, b, err
		}
		if filled[id] = n; n == len(tables) {
			if full++; full == 2 {
				break
			}
		}
	}
	slices.SortStableFunc(tenants, func(x, y uuid.UUID) int { return filled[y] - filled[x] })
	if len(tenants) < 2 || filled[tenants[1]] == 0 {
		return a, b, ErrNoTenants
	}
	return tenants[0], tenants[1], nil
}

// open lists the tenants that have a place, so that none is made by looking.
func (p *prober) open(ctx context.Context, db *tenancy.DB) (all []uuid.UUID, err error) {
	tenants, err := db.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range tenants {
		all = append(all, t.ID.UUID())
	}
	h, ok := p.eng.(engine.Holder)
	if !ok {
		return all, nil
	}
	places, err := h.Held(ctx)
	return slices.DeleteFunc(all, func(id uuid.UUID) bool { return !slices.Contains(places, id) }), err
}

// filled counts the tables in which a tenant has rows; a closed one has none.
func (p *prober) filled(ctx context.Context, id uuid.UUID, tables []tenancy.TableInfo) (n int, err error) {
	for _, t := range tables {
		name := t.Name
		if p.sqlite() {
			name = strings.ReplaceAll(name, ".", "_")
		}
		hit, err := p.library(ctx, id, "SELECT count(*) FROM (SELECT 1 FROM "+name+" LIMIT 1) x")
		if k := kindOf(err); k == engine.UnknownTenant {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		n += int(hit)
	}
	return n, nil
}

// library runs texts in one transaction under the library's login, which is
// rolled back, and gives the number that the last one reads or affects.
func (p *prober) library(ctx context.Context, tenant uuid.UUID, texts ...string) (n int64, err error) {
	err = p.inLibrary(ctx, tenant, func(run runner) error {
		for _, text := range texts {
			if n, err = run(engine.Stmt{SQL: text, Once: true}); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// runner runs a statement in a transaction, and gives the number that it reads or
// affects.
type runner func(engine.Stmt) (int64, error)

func (r runner) once(text string) (int64, error) { return r(engine.Stmt{SQL: text, Once: true}) }

// inLibrary gives fn a transaction under the library's login, and rolls it back.
func (p *prober) inLibrary(ctx context.Context, tenant uuid.UUID, fn func(run runner) error) (err error) {
	tx, err := p.eng.Begin(ctx, engine.Scope{Tenant: tenant, Actor: actor})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx))) }()
	run := func(s engine.Stmt) (n int64, err error) {
		read := false
		hit, err := tx.Run(ctx, s, engine.Continue, func(r engine.Row) error {
			read = true
			return r.Scan(&n)
		})
		if !read {
			n = hit
		}
		return n, err
	}
	if !p.sqlite() {
		if _, err := run(engine.Stmt{SQL: "SELECT count(set_config('lock_timeout', '3s', true))"}); err != nil {
			return err
		}
	}
	return fn(run)
}

// texts reads rows of strings under the library's login.
func (p *prober) texts(ctx context.Context, tenant uuid.UUID, width int, query string, args ...any) (all [][]string, err error) {
	tx, err := p.eng.Begin(ctx, engine.Scope{Tenant: tenant, Actor: actor})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx))) }()
	_, err = tx.Run(ctx, engine.Stmt{SQL: query, Args: args, Once: true}, engine.Continue, func(r engine.Row) error {
		row, dest := make([]string, width), make([]any, width)
		for i := range row {
			dest[i] = &row[i]
		}
		all = append(all, row)
		return r.Scan(dest...)
	})
	return all, err
}

// caller runs texts as callers' text of a tenant in one transaction, which is
// rolled back, and gives the number that the last one reads or affects.
func (p *prober) caller(ctx context.Context, tenant uuid.UUID, texts ...string) (n int64, err error) {
	err = p.inCaller(ctx, engine.Scope{Tenant: tenant}, func(tx engine.SQLTx) error {
		for _, text := range texts {
			if n, err = execute(ctx, tx, text); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

// inCaller gives fn a transaction of callers' text, and rolls it back.
func (p *prober) inCaller(ctx context.Context, s engine.Scope, fn func(tx engine.SQLTx) error) (err error) {
	s.Actor = actor
	tx, err := p.eng.BeginSQL(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.Rollback(context.WithoutCancel(ctx))) }()
	if !p.sqlite() {
		if _, err := execute(ctx, tx, "SELECT count(set_config('lock_timeout', '3s', true))"); err != nil {
			return err
		}
	}
	return fn(tx)
}

// queries are the words with which a text begins that gives rows.
var queries = strings.Fields("SELECT WITH EXECUTE TABLE VALUES EXPLAIN PRAGMA")

// execute runs a caller's text. Of a query it gives the first value, if that is
// a number, else the number of rows; of another statement the rows affected.
func execute(ctx context.Context, tx engine.SQLTx, text string) (n int64, err error) {
	word, _, _ := strings.Cut(text, " ")
	if !slices.Contains(queries, word) {
		res, err := tx.SQLX().ExecContext(ctx, text)
		if err != nil {
			return 0, err
		}
		return res.RowsAffected()
	}
	rows, err := tx.SQLX().QueryContext(ctx, text)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	for count := int64(1); rows.Next(); count++ {
		var first any
		dest := []any{&first}
		for range columns[1:] {
			dest = append(dest, new(any))
		}
		if err := rows.Scan(dest...); err != nil {
			return 0, err
		}
		if v, ok := first.(int64); ok && len(columns) == 1 {
			n = v
		} else {
			n = count
		}
	}
	return n, rows.Err()
}

// kindOf is the kind of an engine's error; -1 for another's.
func kindOf(err error) engine.Kind {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		return e.Kind
	}
	return -1
}

// code is the database's code of an error, for reports: its text may hold values.
func code(err error) string {
	if e, ok := errors.AsType[*engine.Error](err); ok {
		if e.Code != "" {
			return e.Code
		}
		return e.Kind.String()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	return "error of the driver"
}
