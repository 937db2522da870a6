package check

import (
	"errors"
	"fmt"
	"go/types"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/art32/art32/crypto/field"
)

// This file reads a declaration as tenancy/table.go does, by go/types in place
// of reflect, and says the same in the same words. TestDeclarations compares
// the two.

// fault is what is wrong with a declaration: at a field, or with the whole.
type fault struct {
	field *types.Var
	text  string
}

// declaration is the table that a struct describes.
type declaration struct {
	cols   []column
	key    bool
	tenant bool
	// subject and version are roles that a table may go without.
	subject, version bool

	faults []fault
}

type column struct {
	name   string
	typ    types.Type
	plain  types.Type // of an encrypted column
	class  string
	key    bool
	fixed  bool   // is the tenant or the version
	index  string // column of the blind index, or ""
	unique bool
	// plaintext says that the column may hold some until a date.
	plaintext bool
}

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// declarationFaults returns all that NewRepository finds wrong with typ.
func declarationFaults(typ types.Type) []fault {
	s, ok := typ.Underlying().(*types.Struct)
	if !ok {
		return []fault{{text: typeName(typ) + " is no struct"}}
	}
	var d declaration
	for i := range s.NumFields() {
		if err := d.addField(s.Field(i), reflect.StructTag(s.Tag(i))); err != nil {
			d.faults = append(d.faults, fault{s.Field(i), "field " + s.Field(i).Name() + ": " + err.Error()})
		}
	}
	d.checkRoles()
	d.checkIndexes()
	return d.faults
}

func (d *declaration) addField(f *types.Var, tag reflect.StructTag) error {
	name, tagged := tag.Lookup("db")
	if name == "-" {
		return nil
	}
	if !tagged || !f.Exported() || !identifier.MatchString(name) {
		return errors.New(`needs a db tag with the column's name, or db:"-", and must be exported`)
	}
	for _, c := range d.cols {
		if c.name == name {
			return fmt.Errorf("column %s is declared twice", name)
		}
	}
	if p, ok := f.Type().Underlying().(*types.Pointer); ok && plainType(p.Elem()) != nil {
		return errors.New("a pointer to an encrypted field is never sealed: declare the field itself, whose zero value is NULL")
	}
	c := column{name: name, typ: f.Type()}
	if c.plain = plainType(f.Type()); c.plain != nil {
		c.class = "encrypted"
		if !encryptable(c.plain) {
			return fmt.Errorf("%w: %s", field.ErrType, typeName(c.plain))
		}
	}
	d.cols = append(d.cols, c)
	return d.applyTag(&d.cols[len(d.cols)-1], tag.Get("art32"))
}

func (d *declaration) applyTag(c *column, tag string) error {
	if tag != "" {
		for word := range strings.SplitSeq(tag, ",") {
			if err := d.applyWord(c, word); err != nil {
				return err
			}
		}
	}
	if c.class == "" {
		return errors.New(`column has no class: say art32:"personal" or art32:"open", or make it a field.Encrypted`)
	}
	return nil
}

func (d *declaration) applyWord(c *column, word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "key":
		return d.addKey(c)
	case "tenant":
		return c.fix(assign(&d.tenant, c, word, isNamed(c.typ, tenancyPkg, "ID")))
	case "subject":
		return assign(&d.subject, c, word, uuidLike(c.typ))
	case "version":
		return c.fix(assign(&d.version, c, word, types.Identical(c.typ, types.Typ[types.Int64])))
	case "personal", "open":
		if c.key && key == "personal" {
			return errPersonalKey
		}
		return c.setClass(key)
	case "index", "unique":
		return c.setIndex(value, key == "unique")
	case "rows":
		return c.setRows(value)
	case "plaintext":
		return c.setPlaintext(value)
	}
	return fmt.Errorf("unknown word %q in the art32 tag", word)
}

var errPersonalKey = errors.New("a key is open: events and ids show it; give the row a UUID, and find it by the blind index of an encrypted column")

func (d *declaration) addKey(c *column) error {
	switch {
	case c.key:
		return errors.New("column says \"key\" twice")
	case c.class == "encrypted" || c.class == "personal":
		return errPersonalKey
	case !keyLike(c.typ):
		return misfit(c.typ, "key")
	}
	d.key, c.key, c.class = true, true, "open"
	return nil
}

func misfit(typ types.Type, word string) error {
	return fmt.Errorf("type %s does not fit %q: a key is a UUID, a string, an int, int32 or int64, a subject a UUID, a tenant a tenancy.ID, a version an int64", typeName(typ), word)
}

func assign(role *bool, c *column, word string, fits bool) error {
	if *role {
		return fmt.Errorf("a second column says %q", word)
	}
	if !fits {
		return misfit(c.typ, word)
	}
	*role = true
	c.class = "open"
	return nil
}

// fix notes a role that no key can have, unless it failed.
func (c *column) fix(err error) error {
	c.fixed = c.fixed || err == nil
	return err
}

func (c *column) setClass(class string) error {
	if c.class != "" && c.class != class {
		return errors.New("column has two classes")
	}
	c.class = class
	if t := deref(c.typ); !storable(t) {
		return fmt.Errorf("type %s cannot be stored: it needs Value and Scan", typeName(t))
	}
	return nil
}

func (c *column) setIndex(value string, unique bool) error {
	name, how, ok := strings.Cut(value, ":")
	if !ok || !identifier.MatchString(name) {
		return errors.New("an index is written index=COLUMN:TRANSFORM, or unique=COLUMN:TRANSFORM")
	}
	if c.class != "encrypted" {
		return errors.New("only an encrypted column has a blind index")
	}
	c.unique = unique
	_, err := field.ParseTransform(how)
	if err == nil {
		c.index = name
	}
	return err
}

func (c *column) setRows(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || c.index == "" || c.unique {
		return errors.New("rows=N follows index=… and is a number")
	}
	_, err = field.Width(n)
	return err
}

func (c *column) setPlaintext(value string) error {
	if c.class != "encrypted" || c.plaintext {
		return errors.New("plaintext=DATE stands once, at an encrypted column")
	}
	until, err := field.ParseDate(value)
	if err == nil {
		_, err = field.NewMigration(until)
	}
	c.plaintext = err == nil
	return err
}

func (d *declaration) checkRoles() {
	if !d.key {
		d.faults = append(d.faults, fault{text: `no column says art32:"key"`})
	}
	if !d.tenant {
		d.faults = append(d.faults, fault{text: `no column says art32:"tenant"`})
	}
	for _, c := range d.cols {
		if c.key && c.fixed {
			d.faults = append(d.faults, fault{text: "column " + c.name + " cannot be part of the key: the tenant goes without saying, and a version changes"})
		}
	}
}

func (d *declaration) checkIndexes() {
	taken := map[string]bool{}
	for _, c := range d.cols {
		taken[c.name] = true
	}
	for _, c := range d.cols {
		if c.index != "" && taken[c.index] {
			d.faults = append(d.faults, fault{text: fmt.Sprintf("blind index of %s: column %s is declared twice", c.name, c.index)})
		}
		taken[c.index] = true
	}
}
