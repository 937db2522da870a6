package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/art32/art32/internal/guess"
	"github.com/art32/art32/internal/migrate"
)

func scaffoldVerb() verb {
	return verb{
		name:  "scaffold",
		brief: "begin the declaration of a table that exists: a struct with tags, or the migration for it",
		login: "a login that sees the catalogue (--dsn), or read access to an SQLite file (--data). It reads no row",
		more: `It prints Go, or with --migration SQL. What nobody but a person can decide is left so
that it fails: art32:"decide" when the table is declared, the type undecided when it is
compiled, ??? when the migration runs. Text that looks personal by its name is
proposed as field.Encrypted; DATE is the day until which its rows may lie in clear.`,
		setup: func(fs *flag.FlagSet) func(context.Context, *output) error {
			s := &scaffold{}
			s.env = envOwner
			fs.StringVar(&s.data, "data", "", "the SQLite `FILE`")
			fs.StringVar(&s.dsn, "dsn", "", "the postgres:// `URL` of the owner's login; default: $"+envOwner)
			fs.StringVar(&s.table, "table", "", "the `TABLE`, in PostgreSQL with its schema where that is not public; required")
			fs.StringVar(&s.pkg, "package", "main", "the `NAME` of the Go package")
			fs.BoolVar(&s.migration, "migration", false, "print the migration and not the struct")
			return s.run
		},
	}
}

// scaffold is one call of the verb.
type scaffold struct {
	target

	table, pkg string
	migration  bool
}

func (s *scaffold) run(ctx context.Context, out *output) error {
	if s.table == "" {
		return usagef("--table TABLE is required")
	}
	if !token.IsIdentifier(s.pkg) {
		return usagef("--package is no name of a Go package")
	}
	if err := s.resolve(); err != nil {
		return err
	}
	t, err := s.read(ctx)
	if err != nil {
		return err
	}
	text, err := t.source(s.pkg)
	if s.migration {
		text, err = t.migration(), nil
	}
	if err != nil {
		return err
	}
	if out.json {
		return out.value(map[string]string{"table": s.table, "text": text})
	}
	_, err = fmt.Fprint(out.w, text)
	return err
}

func (s *scaffold) read(ctx context.Context) (*foundTable, error) {
	t := &foundTable{name: s.table, engine: migrate.Postgres}
	if s.data != "" {
		t.engine = migrate.SQLite
		return t, t.readSQLite(ctx, s.data)
	}
	return t, t.readPostgres(ctx, cmp.Or(s.dsn, os.Getenv(s.env)))
}

// foundTable is a table as it is.
type foundTable struct {
	name    string
	quoted  string // as SQL takes it
	engine  migrate.Dialect
	columns []foundColumn
}

// foundColumn is a column of it.
type foundColumn struct {
	name, quoted, typ    string
	notNull, key, unique bool
}

var errNoTable = errors.New("there is no such table, or this login does not see it")

// declarable is a name that a declaration takes.
var declarable = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// role is what a column is in the declaration.
type role int

const (
	roleUndecided role = iota
	roleKey
	roleTenant
	roleEncrypted
)

// roleOf tells what a column is where no person need decide.
func (t *foundTable) roleOf(c foundColumn) role {
	keys := 0
	for _, k := range t.columns {
		if k.key && k.name != t.tenant() {
			keys++
		}
	}
	switch {
	case c.name == t.tenant():
		return roleTenant
	case c.key && keys == 1 && t.isUUID(c):
		return roleKey
	case !c.key && t.text(c) && slices.Contains(guess.Personal(t.name, t.guessable()), c.name):
		return roleEncrypted
	}
	return roleUndecided
}

func (t *foundTable) isUUID(c foundColumn) bool {
	return c.typ == "uuid" || t.engine == migrate.SQLite && t.text(c)
}

func (t *foundTable) text(c foundColumn) bool { return t.goType(c) == "string" }

func (t *foundTable) guessable() (all []guess.Column) {
	for _, c := range t.columns {
		if t.text(c) {
			all = append(all, guess.Column{Name: c.name, Kind: guess.Text})
		}
	}
	return all
}

// tenant is the column of the tenant; "" for none.
func (t *foundTable) tenant() string {
	first := ""
	for _, c := range t.columns {
		switch {
		case !t.isUUID(c) || !guess.Tenant(c.name):
		case c.name == "tenant_id":
			return c.name
		case first == "":
			first = c.name
		}
	}
	return first
}

// undecidedType is a type that no program has.
const undecidedType = "undecided"

// goType is the type of a field that is never NULL.
func (t *foundTable) goType(c foundColumn) string {
	if t.engine == migrate.SQLite {
		return sqliteGoType(c.typ)
	}
	switch typ, _, _ := strings.Cut(c.typ, "("); strings.TrimSpace(typ) {
	case "uuid":
		return "uuid.UUID"
	case "text", "character varying":
		return "string"
	case "boolean":
		return "bool"
	case "smallint":
		return "int16"
	case "integer":
		return "int32"
	case "bigint":
		return "int64"
	case "double precision":
		return "float64"
	case "timestamp with time zone":
		return "time.Time"
	case "bytea":
		return "[]byte"
	case "json", "jsonb":
		return "json.RawMessage"
	}
	return undecidedType
}

// sqliteGoType reads a declared type; SQLite binds nobody to it.
func sqliteGoType(typ string) string {
	switch typ = strings.ToUpper(typ); {
	case strings.Contains(typ, "BOOL"):
		return "bool"
	case strings.Contains(typ, "INT"):
		return "int64"
	case strings.Contains(typ, "CHAR"), strings.Contains(typ, "TEXT"), strings.Contains(typ, "CLOB"), strings.Contains(typ, "UUID"):
		return "string"
	case strings.Contains(typ, "BLOB"):
		return "[]byte"
	case strings.Contains(typ, "REAL"), strings.Contains(typ, "FLOA"), strings.Contains(typ, "DOUBLE"):
		return "float64"
	case strings.Contains(typ, "TIME"):
		return "time.Time"
	}
	return undecidedType
}

// source is the struct.
func (t *foundTable) source(pkg string) (string, error) {
	if name := strings.TrimPrefix(t.name, "public."); !declarableTable(name) {
		return "", fmt.Errorf("a table is declared by lower-case letters, digits and _, and its name is another: rename it")
	}
	var fields strings.Builder
	taken := map[string]bool{}
	for _, c := range t.columns {
		fields.WriteString(t.field(c, taken))
	}
	if t.tenant() == "" {
		fields.WriteString("Tenant tenancy.ID `db:\"tenant_id\" art32:\"tenant\"` // no column names the tenant by a UUID yet\n")
	}
	typ := goName(singular(t.name))
	body := fmt.Sprintf("// %s is one row of table %s.\ntype %s struct {\n%s}\n\n// %s reads and writes them.\nvar %s = tenancy.MustRepository[%s](%q)\n",
		typ, strings.TrimPrefix(t.name, "public."), typ, &fields, goName(t.name), goName(t.name), typ, strings.TrimPrefix(t.name, "public."))
	text, err := format.Source([]byte("package " + pkg + "\n\n" + imports(body) + body))
	return string(text), err
}

func declarableTable(name string) bool {
	schema, table, ok := strings.Cut(name, ".")
	if !ok {
		schema, table = "public", schema
	}
	return declarable.MatchString(schema) && declarable.MatchString(table)
}

// imports are those of the packages that body names.
func imports(body string) string {
	var text strings.Builder
	text.WriteString("import (\n")
	for _, i := range []struct{ name, path string }{
		{"json.", "encoding/json"}, {"time.", "time"}, {"", ""}, {"uuid.", "github.com/google/uuid"}, {"", ""},
		{"field.", "github.com/art32/art32/crypto/field"}, {"tenancy.", "github.com/art32/art32/tenancy"},
	} {
		switch {
		case i.path == "":
			text.WriteString("\n")
		case strings.Contains(body, i.name):
			fmt.Fprintf(&text, "%q\n", i.path)
		}
	}
	return text.String() + ")\n\n"
}

// field is a line of the struct.
func (t *foundTable) field(c foundColumn, taken map[string]bool) string {
	name := goName(c.name)
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s%d", goName(c.name), i)
	}
	taken[name] = true
	if !declarable.MatchString(c.name) {
		return fmt.Sprintf("%s undecided // column %q: a column is declared by lower-case letters, digits and _: rename it\n", name, c.name)
	}
	typ, tag, note := t.declared(c)
	return fmt.Sprintf("%s %s `db:%q%s`%s\n", name, typ, c.name, tag, note)
}

// declared is the type of a field, its art32 tag and what a person should know.
func (t *foundTable) declared(c foundColumn) (typ, tag, note string) {
	typ = t.goType(c)
	switch t.roleOf(c) {
	case roleTenant:
		return "tenancy.ID", ` art32:"tenant"`, ""
	case roleKey:
		return "uuid.UUID", ` art32:"key"`, " // key,subject where the row is a person"
	case roleEncrypted:
		words := t.index(c)
		if t.engine == migrate.Postgres { // SQLite's rows are imported, and sealed on the way
			words = append(words, "plaintext=DATE")
		}
		if len(words) > 0 {
			tag = ` art32:"` + strings.Join(words, ",") + `"`
		}
		return "field.Encrypted[" + typ + "]", tag, " // looks personal"
	}
	note = " // open or personal?"
	switch {
	case typ == undecidedType:
		note = fmt.Sprintf(" // of type %q: see the list of types in tenancy/postgres; open or personal?", c.typ)
	case c.key:
		note = " // key, where it tells nothing of a person: events show it"
	case typ == "uuid.UUID":
		note = " // open, or subject where it is the person whom the row is about?"
	}
	if !c.notNull && !strings.HasPrefix(typ, "[]") && typ != "json.RawMessage" {
		typ = "*" + typ
	}
	return typ, ` art32:"decide"`, note
}

// index is the word for a blind index, where the column is searched.
func (t *foundTable) index(c foundColumn) []string {
	how := "exact"
	if strings.Contains(strings.ToLower(c.name), "mail") {
		how = "email"
	}
	switch {
	case !declarable.MatchString(c.name + "_bidx"):
		return nil
	case c.unique:
		return []string{"unique=" + c.name + "_bidx:" + how}
	case how == "email":
		return []string{"index=" + c.name + "_bidx:email"}
	}
	return nil
}

// initialisms are written in capitals.
var initialisms = map[string]string{"id": "ID", "url": "URL", "iban": "IBAN", "bic": "BIC", "ip": "IP", "json": "JSON", "uuid": "UUID", "vat": "VAT", "api": "API"}

// goName is an exported name of Go.
func goName(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(strings.TrimPrefix(name, "public."), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if upper, ok := initialisms[strings.ToLower(word)]; ok {
			b.WriteString(upper)
			continue
		}
		first := []rune(word)
		first[0] = unicode.ToUpper(first[0])
		b.WriteString(string(first))
	}
	if out := b.String(); token.IsExported(out) && token.IsIdentifier(out) {
		return out
	}
	return "X" + b.String()
}

func singular(name string) string {
	for _, end := range []string{"ss", "us", "is"} {
		if strings.HasSuffix(name, end) {
			return name + "_row"
		}
	}
	if one, ok := strings.CutSuffix(name, "ies"); ok {
		return one + "y"
	}
	if one, ok := strings.CutSuffix(name, "s"); ok {
		return one
	}
	return name + "_row"
}
