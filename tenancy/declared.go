package tenancy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/internal/engine"
)

// described is a table that is known by its description alone. It serves what
// needs no struct: erasure, counting, documents.
type described struct{ t *table }

var _ Table = described{}

func (d described) Name() string { return d.t.name }

func (d described) describe() *table { return d.t }

// Described gives tables by their description, as [Schema.Info] wrote it, for
// programs that do not have the structs: a restore, a command. Rows cannot be
// read or written through it; [DB.Erase], [DB.Census] and [DB.Subjects] work.
func Described(infos []TableInfo) (Schema, error) {
	var s Schema
	var errs []error
	for _, in := range infos {
		t, err := in.table()
		if err != nil {
			errs = append(errs, fmt.Errorf("tenancy: describe table %q: %w", in.Name, err))
			continue
		}
		s = append(s, described{t})
	}
	return s, errors.Join(errs...)
}

func (in TableInfo) table() (*table, error) {
	if !tableName(in.Name) {
		return nil, errors.New("not a name of a table")
	}
	t := &table{name: in.Name}
	for i, c := range in.Columns {
		typ, ok := kindTypes[c.Empty]
		if !ok || !identifier.MatchString(c.Name) || c.Class < Open || c.Class > Encrypted {
			return nil, fmt.Errorf("column %d: unknown name, class or kind", i)
		}
		col := column{name: c.Name, typ: typ, class: c.Class}
		if c.Index != "" {
			if !identifier.MatchString(c.Index) {
				return nil, fmt.Errorf("column %d: not a name of an index", i)
			}
			col.index = &blindIndex{name: c.Index}
		}
		t.cols = append(t.cols, col)
	}
	at := func(name string) int {
		return slices.IndexFunc(t.cols, func(c column) bool { return c.name == name })
	}
	t.key, t.tenant, t.subject = at(in.Key), at(in.Tenant), at(in.Subject)
	if t.key < 0 || t.tenant < 0 || (in.Subject == "") != (t.subject < 0) {
		return nil, errors.New("key, tenant or subject is no column")
	}
	return t, nil
}

// kindTypes are types whose zero value an erasure writes, by [ColumnInfo].Empty.
var kindTypes = map[string]reflect.Type{
	"":        reflect.TypeFor[*string](),
	"null":    reflect.TypeFor[*string](),
	"text":    reflect.TypeFor[string](),
	"integer": reflect.TypeFor[int64](),
	"real":    reflect.TypeFor[float64](),
	"boolean": reflect.TypeFor[bool](),
	"time":    reflect.TypeFor[time.Time](),
	"uuid":    reflect.TypeFor[uuid.UUID](),
}

// kindOf names what an erasure writes into a column.
func kindOf(t reflect.Type) string {
	switch emptyOf(t).(type) {
	case string:
		return "text"
	case int64:
		return "integer"
	case float64:
		return "real"
	case bool:
		return "boolean"
	case time.Time:
		return "time"
	case uuid.UUID:
		return "uuid"
	}
	return "null"
}

// Declare keeps the description of the schema in the platform's database, where
// programs without the structs find it. The Open functions of the engine
// packages call it.
func (db *DB) Declare(ctx context.Context, _ engine.Key) error {
	want, err := json.Marshal(db.schema.Info())
	if err != nil {
		return fmt.Errorf("tenancy: describe schema: %w", err)
	}
	have, err := readDeclared(ctx, db.eng)
	if err != nil || have == string(want) {
		return wrap("read", "description of the schema", err)
	}
	tx, err := db.eng.Begin(ctx, engine.Scope{})
	if err != nil {
		return wrap("begin", "transaction", err)
	}
	_, err = tx.Run(ctx, engine.Stmt{
		SQL: "INSERT INTO " + engine.Table(db.eng.Dialect(), "declared") + " (one, info) VALUES (1, $1)" +
			" ON CONFLICT (one) DO UPDATE SET info = excluded.info",
		Args: []any{string(want)}, Rows: 1,
	}, engine.Commit, nil)
	return wrap("write", "description of the schema", err)
}

func readDeclared(ctx context.Context, e engine.Engine) (info string, err error) {
	tx, err := e.Begin(ctx, engine.Scope{})
	if err != nil {
		return "", err
	}
	_, err = tx.Run(ctx, engine.Stmt{SQL: "SELECT info FROM " + engine.Table(e.Dialect(), "declared") + " WHERE one = 1"},
		engine.Commit, func(r engine.Row) error { return r.Scan(&info) })
	return info, err
}

// Declared gives the tables that the application last opened the database with,
// or an empty schema.
func Declared(ctx context.Context, e engine.Engine) (Schema, error) {
	info, err := readDeclared(ctx, e)
	if err != nil || info == "" {
		return nil, wrap("read", "description of the schema", err)
	}
	var infos []TableInfo
	if err := json.Unmarshal([]byte(info), &infos); err != nil {
		return nil, errors.New("tenancy: the stored description of the schema is damaged: open the database with the application once")
	}
	return Described(infos)
}
