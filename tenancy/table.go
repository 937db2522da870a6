package tenancy

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/art32/art32/crypto/field"
)

// table is a declaration that has been checked.
type table struct {
	name    string
	typ     reflect.Type
	cols    []column
	keys    []int // indexes into cols, in the order of the struct
	tenant  int
	subject int  // -1 for none
	version int  // -1 for none
	reads   bool // each query that hands rows over is recorded
	// expected is the length of the last page that was read: rows are large, and
	// a slice that grows copies them again and again.
	expected atomic.Int32
	keyTypes sync.Map // reflect.Type of a key of several columns → []int: its fields
}

// column is one field of the struct.
type column struct {
	name  string
	field int          // index of the struct field
	typ   reflect.Type // nil where it is known by its description alone
	class Class
	key   keyKind // "" for a column that is no part of the key
	index *blindIndex
	// migration allows plaintext in an encrypted column for a time.
	migration *field.Migration
	plaintext bool // the same of a described column
	// cleared is what an erasure writes into a described column.
	cleared any
}

func (c *column) sealed() bool { return c.class == Encrypted }

// blindIndex is the column beside an encrypted one by which it is found.
type blindIndex struct {
	name      string
	transform field.Transform
	unique    bool
	rows      int // expected rows, which set the width
}

// defaultIndexRows is the number of rows per tenant that a blind index expects
// if its tag says none.
const defaultIndexRows = 1 << 16

// plainTyper is the part of [field.Encrypted] that names what it encrypts.
type plainTyper interface{ PlainType() reflect.Type }

var (
	identifier   = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
	sealableType = reflect.TypeFor[field.Sealable]()
	timeType     = reflect.TypeFor[time.Time]()
	uuidType     = reflect.TypeFor[uuid.UUID]()
	idType       = reflect.TypeFor[ID]()
)

// parseTable reads the tags of typ and returns all that is wrong with them.
func parseTable(name string, typ reflect.Type) (*table, error) {
	t := &table{name: name, typ: typ, tenant: -1, subject: -1, version: -1}
	if !tableName(name) {
		return nil, fmt.Errorf("tenancy: declare table %q: name must be lower-case letters, digits and _, with an optional schema", name)
	}
	if typ.Kind() != reflect.Struct {
		return nil, fmt.Errorf("tenancy: declare table %s: %s is no struct", name, typ)
	}
	var errs []error
	for i := range typ.NumField() {
		if err := t.addField(i); err != nil {
			errs = append(errs, fmt.Errorf("tenancy: declare table %s: field %s: %w", name, typ.Field(i).Name, err))
		}
	}
	errs = append(errs, t.checkRoles()...)
	errs = append(errs, t.checkIndexes()...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func tableName(s string) bool {
	schema, name, qualified := strings.Cut(s, ".")
	if !qualified {
		name, schema = schema, "public"
	}
	return identifier.MatchString(schema) && identifier.MatchString(name) &&
		!strings.HasPrefix(name, "art32_") && schema != "art32" && schema != "art32_keys"
}

func (t *table) addField(i int) error {
	f := t.typ.Field(i)
	name, tagged := f.Tag.Lookup("db")
	if name == "-" {
		return nil
	}
	if !tagged || !f.IsExported() || !identifier.MatchString(name) {
		return errors.New(`needs a db tag with the column's name, or db:"-", and must be exported`)
	}
	for _, c := range t.cols {
		if c.name == name {
			return fmt.Errorf("column %s is declared twice", name)
		}
	}
	if f.Type.Kind() == reflect.Pointer && f.Type.Implements(sealableType) {
		return errors.New("a pointer to an encrypted field is never sealed: declare the field itself, whose zero value is NULL")
	}
	c := column{name: name, field: i, typ: f.Type}
	if p, ok := reflect.Zero(f.Type).Interface().(plainTyper); ok && reflect.PointerTo(f.Type).Implements(sealableType) {
		c.class = Encrypted
		if err := field.CheckType(p.PlainType()); err != nil {
			return err
		}
	}
	t.cols = append(t.cols, c)
	return t.applyTag(len(t.cols)-1, f.Tag.Get("art32"))
}

// applyTag reads the words of an art32 tag for column n.
func (t *table) applyTag(n int, tag string) error {
	c := &t.cols[n]
	words := strings.Split(tag, ",")
	if tag == "" {
		words = nil
	}
	for _, w := range words {
		if err := t.applyWord(n, w); err != nil {
			return err
		}
	}
	if c.class == 0 {
		return errors.New(`column has no class: say art32:"personal" or art32:"open", or make it a field.Encrypted`)
	}
	return nil
}

func (t *table) applyWord(n int, word string) error {
	c := &t.cols[n]
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "key":
		return t.addKey(n)
	case "tenant":
		return t.assign(&t.tenant, n, word, func(ty reflect.Type) bool { return ty == idType })
	case "subject":
		return t.assign(&t.subject, n, word, uuidLike)
	case "reads":
		if t.tenant != n || t.reads {
			return errReads
		}
		t.reads = true
		return nil
	case "version":
		return t.assign(&t.version, n, word, func(ty reflect.Type) bool { return ty == reflect.TypeFor[int64]() })
	case "personal":
		if c.key != "" {
			return errPersonalKey
		}
		return c.setClass(Personal)
	case "open":
		return c.setClass(Open)
	case "index", "unique":
		return c.setIndex(value, key == "unique")
	case "rows":
		return c.setRows(value)
	case "plaintext":
		return c.setPlaintext(value)
	}
	return fmt.Errorf("unknown word %q in the art32 tag", word)
}

var errReads = errors.New(`"reads" is of the whole table, and stands once, behind "tenant"`)

var errPersonalKey = errors.New("a key is open: events and ids show it; give the row a UUID, and find it by the blind index of an encrypted column")

// addKey makes column n a part of the key.
func (t *table) addKey(n int) error {
	c := &t.cols[n]
	kind := keyKindOf(c.typ)
	switch {
	case c.key != "":
		return errors.New("column says \"key\" twice")
	case c.sealed() || c.class == Personal:
		return errPersonalKey
	case kind == "":
		return misfit(c.typ, "key")
	}
	c.key, c.class = kind, Open
	t.keys = append(t.keys, n)
	return nil
}

func misfit(typ reflect.Type, word string) error {
	return fmt.Errorf("type %s does not fit %q: a key is a UUID, a string, an int, int32 or int64, a subject a UUID, a tenant a tenancy.ID, a version an int64", typ, word)
}

// assign gives column n one of the roles, which are open by nature.
func (t *table) assign(role *int, n int, word string, fits func(reflect.Type) bool) error {
	if *role >= 0 {
		return fmt.Errorf("a second column says %q", word)
	}
	if !fits(t.cols[n].typ) {
		return misfit(t.cols[n].typ, word)
	}
	*role = n
	t.cols[n].class = Open
	return nil
}

func uuidLike(t reflect.Type) bool { return t.ConvertibleTo(uuidType) && t.Kind() == reflect.Array }

func (c *column) setClass(cl Class) error {
	if c.class != 0 && c.class != cl {
		return errors.New("column has two classes")
	}
	c.class = cl
	return checkPlain(c.typ)
}

// checkPlain refuses types that no engine can store.
func checkPlain(t reflect.Type) error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == timeType || uuidLike(t) || t.Implements(valuerType) && reflect.PointerTo(t).Implements(scannerType) {
		return nil
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
	default:
	}
	return fmt.Errorf("type %s cannot be stored: it needs Value and Scan", t)
}

func (c *column) setIndex(value string, unique bool) error {
	name, how, ok := strings.Cut(value, ":")
	if !ok || !identifier.MatchString(name) {
		return errors.New("an index is written index=COLUMN:TRANSFORM, or unique=COLUMN:TRANSFORM")
	}
	if !c.sealed() {
		return errors.New("only an encrypted column has a blind index")
	}
	tr, err := field.ParseTransform(how)
	if err != nil {
		return err
	}
	c.index = &blindIndex{name: name, transform: tr, unique: unique, rows: defaultIndexRows}
	return nil
}

func (c *column) setRows(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || c.index == nil || c.index.unique {
		return errors.New("rows=N follows index=… and is a number")
	}
	if _, err := field.Width(n); err != nil {
		return err
	}
	c.index.rows = n
	return nil
}

func (c *column) setPlaintext(value string) error {
	if !c.sealed() || c.plaintext {
		return errors.New("plaintext=DATE stands once, at an encrypted column")
	}
	until, err := field.ParseDate(value)
	if err == nil {
		c.migration, err = field.NewMigration(until)
	}
	c.plaintext = err == nil
	return err
}

func (t *table) checkRoles() []error {
	var errs []error
	if len(t.keys) == 0 {
		errs = append(errs, fmt.Errorf(`tenancy: declare table %s: no column says art32:"key"`, t.name))
	}
	if t.tenant < 0 {
		errs = append(errs, fmt.Errorf(`tenancy: declare table %s: no column says art32:"tenant"`, t.name))
	}
	for _, n := range t.keys {
		if n == t.tenant || n == t.version {
			errs = append(errs, fmt.Errorf("tenancy: declare table %s: column %s cannot be part of the key: the tenant goes without saying, and a version changes", t.name, t.cols[n].name))
		}
	}
	return errs
}

// checkIndexes refuses a blind index in a column that holds something else.
func (t *table) checkIndexes() []error {
	var errs []error
	taken := map[string]bool{}
	for i := range t.cols {
		taken[t.cols[i].name] = true
	}
	for i := range t.cols {
		x := t.cols[i].index
		if x == nil {
			continue
		}
		if taken[x.name] {
			errs = append(errs, fmt.Errorf("tenancy: declare table %s: blind index of %s: column %s is declared twice", t.name, t.cols[i].name, x.name))
		}
		taken[x.name] = true
	}
	return errs
}
