package tenancy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
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
// read or written through it; [DB.Erase], [DB.Census], [DB.Subjects] and
// [DB.Reseal] work.
func Described(infos []TableInfo) (Schema, error) {
	var s Schema
	var errs []error
	for i, in := range infos {
		t, err := in.table()
		if err != nil { // the name may be anything
			errs = append(errs, fmt.Errorf("tenancy: describe table %d: %w", i, err))
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
	t := &table{name: in.Name, version: -1}
	taken := map[string]bool{}
	for i, c := range in.Columns {
		col, err := c.column()
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i, err)
		}
		for _, name := range []string{c.Name, c.Index} {
			if taken[name] {
				return nil, fmt.Errorf("column %d: a name stands twice", i)
			}
			taken[name] = name != ""
		}
		t.cols = append(t.cols, col)
	}
	at := func(name string) int {
		return slices.IndexFunc(t.cols, func(c column) bool { return c.name == name && c.class == Open })
	}
	t.tenant, t.subject = at(in.Tenant), at(in.Subject)
	if t.tenant < 0 || (in.Subject == "") != (t.subject < 0) {
		return nil, errors.New("tenant or subject is no column of class open")
	}
	return t, t.describeKeys(in, at)
}

// describeKeys reads the key: one UUID, or columns with their types. Who knows Key
// alone refuses the latter.
func (t *table) describeKeys(in TableInfo, at func(name string) int) error {
	keys := slices.Clip(in.Keys)
	if in.Key != "" {
		keys = append(keys, KeyInfo{Name: in.Key, Type: string(uuidKey)})
	}
	for _, k := range keys {
		n := at(k.Name)
		if n < 0 || n == t.tenant || t.cols[n].key != "" || !slices.Contains([]keyKind{uuidKey, textKey, integerKey}, keyKind(k.Type)) {
			return errors.New("the key is no column of class open, or of no known type")
		}
		t.cols[n].key = keyKind(k.Type)
		t.keys = append(t.keys, n)
	}
	if len(t.keys) == 0 || t.derives() == (in.Key != "") || in.Keys != nil && in.Key != "" {
		return errors.New("no key, or one that is described as another")
	}
	return nil
}

// column reads a description as strictly as [Schema.Info] writes it.
func (in ColumnInfo) column() (column, error) {
	c := column{name: in.Name, class: in.Class, plaintext: in.Plaintext}
	switch {
	case !identifier.MatchString(in.Name) || in.Class < Open || in.Class > Encrypted:
		return c, errors.New("unknown name or class")
	case in.Index != "" && (in.Class != Encrypted || !identifier.MatchString(in.Index)):
		return c, errors.New("not a name of an index, or an index where none can be")
	case in.Class != Personal && in.Empty != "":
		return c, errors.New("an empty value where none is written")
	case in.Class != Encrypted && in.Plaintext:
		return c, errors.New("plaintext that is none for a time")
	}
	var ok bool
	if c.index, ok = in.blindIndex(); !ok {
		return c, errors.New("no transform, or width, that an index can have")
	}
	if in.Class == Personal {
		if c.cleared, ok = parseEmpty(in.Empty); !ok {
			return c, errors.New("unknown empty value")
		}
	}
	return c, nil
}

// blindIndex reads the index of a column, nil for none. One without a transform
// is of a description that was stored before it held one.
func (in ColumnInfo) blindIndex() (*blindIndex, bool) {
	x := &blindIndex{name: in.Index, transform: in.Transform, unique: in.Unique, rows: in.Rows}
	if in.Index == "" {
		return nil, *x == blindIndex{}
	}
	if in.Transform == "" {
		return x, *x == blindIndex{name: in.Index}
	}
	_, errHow := field.ParseTransform(string(in.Transform))
	_, errRows := field.Width(in.Rows)
	return x, errHow == nil && (errRows == nil) != in.Unique && (in.Rows == 0 || !in.Unique)
}

// empty is what an erasure writes into a column of class personal: NULL for a
// pointer or slice, else the zero value as its type stores it.
func (c *column) empty() any {
	if c.typ == nil { // described
		return c.cleared
	}
	switch v := emptyOf(c.typ).(type) {
	case string, int64, float64, bool, uuid.UUID:
		return v
	case []byte:
		if v != nil {
			return v
		}
	case time.Time:
		return v.UTC().Truncate(time.Microsecond)
	}
	return nil // what no engine binds
}

// formatEmpty writes a value of [column.empty]: its kind, and behind "=" the
// value unless it is the zero value of the kind. A type of the application's own
// may store its zero value as "0" or "unknown", and its column may take nothing
// else.
func formatEmpty(v any) string {
	switch v := v.(type) {
	case string:
		return kindAnd("text", v)
	case int64:
		return kindAnd("integer", unlessZero(v, strconv.FormatInt(v, 10)))
	case float64:
		return kindAnd("real", unlessZero(v, strconv.FormatFloat(v, 'g', -1, 64)))
	case bool:
		return kindAnd("boolean", unlessZero(v, "true"))
	case []byte:
		return kindAnd("bytes", base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return kindAnd("time", unlessZero(v, v.Format(time.RFC3339Nano)))
	case uuid.UUID:
		return kindAnd("uuid", unlessZero(v, v.String()))
	}
	return "null"
}

func kindAnd(kind, value string) string {
	if value == "" {
		return kind
	}
	return kind + "=" + value
}

func unlessZero[T comparable](v T, text string) string {
	if v == *new(T) {
		return ""
	}
	return text
}

// parseEmpty reads what formatEmpty writes, and nothing else.
func parseEmpty(s string) (v any, ok bool) {
	kind, value, _ := strings.Cut(s, "=")
	zero := value == ""
	var err error
	switch kind {
	case "null":
	case "text":
		v, err = value, checkText(value)
	case "integer":
		v, err = parseUnless(zero, int64(0), func() (int64, error) { return strconv.ParseInt(value, 10, 64) })
	case "real":
		v, err = parseUnless(zero, 0.0, func() (float64, error) { return strconv.ParseFloat(value, 64) })
	case "boolean":
		v = !zero
	case "bytes":
		v, err = parseUnless(zero, []byte{}, func() ([]byte, error) { return base64.StdEncoding.DecodeString(value) })
	case "time":
		v, err = parseUnless(zero, time.Time{}, func() (time.Time, error) {
			t, err := time.Parse(time.RFC3339Nano, value)
			return t.UTC().Truncate(time.Microsecond), err
		})
	case "uuid":
		v, err = parseUnless(zero, uuid.Nil, func() (uuid.UUID, error) { return uuid.Parse(value) })
	default:
		return nil, false
	}
	return v, err == nil && formatEmpty(v) == s
}

func parseUnless[T any](zero bool, v T, parse func() (T, error)) (any, error) {
	if zero {
		return v, nil
	}
	return parse()
}

// Declare keeps the description of the schema in the platform's database, where
// programs without the structs find it. The Open functions of the engine
// packages call it.
func (db *DB) Declare(ctx context.Context, _ engine.Key) error {
	if c, ok := db.eng.(engine.Checker); ok {
		if err := c.Require(ctx, db.schema.shapes()); err != nil {
			return err
		}
	}
	want, err := json.Marshal(db.schema.Info())
	if err != nil {
		return fmt.Errorf("tenancy: describe schema: %w", err)
	}
	have, found, err := readDeclared(ctx, db.eng)
	if err != nil || found && have == string(want) {
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

func readDeclared(ctx context.Context, e engine.Engine) (info string, found bool, err error) {
	tx, err := e.Begin(ctx, engine.Scope{})
	if err != nil {
		return "", false, err
	}
	_, err = tx.Run(ctx, engine.Stmt{SQL: "SELECT info FROM " + engine.Table(e.Dialect(), "declared") + " WHERE one = 1"},
		engine.Commit, func(r engine.Row) error { found = true; return r.Scan(&info) })
	return info, found, err
}

// errDescription says that what is stored is not what [DB.Declare] wrote.
var errDescription = errors.New("tenancy: the stored description of the schema is damaged: open the database with the application once")

// Declared gives the tables that the application last opened the database with,
// or an empty schema where it never did.
func Declared(ctx context.Context, e engine.Engine) (Schema, error) {
	info, found, err := readDeclared(ctx, e)
	if err != nil || !found {
		return nil, wrap("read", "description of the schema", err)
	}
	var infos []TableInfo
	if err := json.Unmarshal([]byte(info), &infos); err != nil || len(infos) == 0 {
		return nil, errDescription // the decoder's error quotes what is there
	}
	s, err := Described(infos)
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errDescription, err)
	}
	return s, nil
}
