package tenancy

import (
	"errors"
	"fmt"

	"github.com/art32/art32/crypto/field"
	"github.com/art32/art32/internal/engine"
)

// Schema is the list of the tables that an engine is opened with. There is no
// registry: a table that is not listed cannot be used with that database.
type Schema []Table

// Table is a declared table; *[Repository] is one.
type Table interface {
	// Name is the name as declared.
	Name() string
	describe() *table
}

// check refuses an empty schema, nil entries and names listed twice.
func (s Schema) check() error {
	if len(s) == 0 {
		return errors.New("tenancy: open: schema lists no table")
	}
	var errs []error
	seen := map[string]bool{}
	for i, t := range s {
		switch {
		case t == nil || required("table", t) != nil:
			errs = append(errs, fmt.Errorf("tenancy: open: schema entry %d is nil", i))
		case seen[t.Name()]:
			errs = append(errs, fmt.Errorf("tenancy: open: table %s is listed twice", t.Name()))
		default:
			seen[t.Name()] = true
		}
	}
	return errors.Join(errs...)
}

// holds reports whether t is one of the tables.
func (s Schema) holds(t *table) bool {
	for _, x := range s {
		if x.describe() == t {
			return true
		}
	}
	return false
}

// shapes are the tables that have a struct. Those that are known by their
// description alone can be older or younger than a database, and no row is read
// or written by them.
func (s Schema) shapes() (all []engine.Shape) {
	for _, t := range s {
		if _, ok := t.(described); ok {
			continue
		}
		shape := engine.Shape{Table: t.Name()}
		for _, c := range t.describe().cols {
			shape.Columns = append(shape.Columns, c.name)
			if c.index != nil {
				shape.Columns = append(shape.Columns, c.index.name)
			}
		}
		all = append(all, shape)
	}
	return all
}

// ColumnInfo describes one declared column to engines and documents.
type ColumnInfo struct {
	Name  string `json:"Name"`  // as declared
	Class Class  `json:"Class"` // as declared or, for a field.Encrypted, Encrypted
	// Index is the column of the blind index, or "".
	Index string `json:"Index,omitempty"`
	// Transform is what the index does to a text first. A description that was
	// stored before there was one has none: such an index can be cleared, and not
	// be computed.
	Transform field.Transform `json:"Transform,omitempty"`
	// Unique says that the index keeps its full width.
	Unique bool `json:"Unique,omitempty"`
	// Rows is how many rows per tenant the index expects, which sets its width; 0
	// where it is unique.
	Rows int `json:"Rows,omitempty"`
	// Empty is what an erasure writes into a column of class personal: text,
	// integer, real, boolean, bytes, time or uuid for the zero value, null, or
	// such a word with "=" and the value as which the type stores its zero value.
	Empty string `json:"Empty,omitempty"`
	// Plaintext says that an encrypted column may hold plaintext for a time, which
	// an erasure clears.
	Plaintext bool `json:"Plaintext,omitempty"`
}

// TableInfo describes one declared table to engines and documents.
type TableInfo struct {
	Name    string       `json:"Name"`    // as declared
	Key     string       `json:"Key"`     // the column of the row's id, or "" where Keys says more
	Tenant  string       `json:"Tenant"`  // the column of the tenant
	Subject string       `json:"Subject"` // the column of the data subject, or ""
	Columns []ColumnInfo `json:"Columns"` // in the order of the declaration
	// Keys are the columns of a key that is not one UUID, in the order of the
	// declaration.
	Keys []KeyInfo `json:"Keys,omitempty"`
}

// KeyInfo describes a column of a key that is not one UUID.
type KeyInfo struct {
	Name string `json:"Name"` // as declared
	Type string `json:"Type"` // uuid, text or integer
}

// Info describes the tables in their order.
func (s Schema) Info() []TableInfo {
	infos := make([]TableInfo, len(s))
	for i, t := range s {
		infos[i] = t.describe().info()
	}
	return infos
}

func (t *table) info() TableInfo {
	in := TableInfo{Name: t.name, Tenant: t.cols[t.tenant].name}
	for _, n := range t.keys {
		if c := &t.cols[n]; t.derives() {
			in.Keys = append(in.Keys, KeyInfo{Name: c.name, Type: string(c.key)})
		} else {
			in.Key = c.name
		}
	}
	if t.subject >= 0 {
		in.Subject = t.cols[t.subject].name
	}
	for i := range t.cols {
		c := &t.cols[i]
		ci := ColumnInfo{Name: c.name, Class: c.class, Plaintext: c.plaintext}
		if c.index != nil {
			ci.Index, ci.Transform, ci.Unique = c.index.name, c.index.transform, c.index.unique
			if !c.index.unique {
				ci.Rows = c.index.rows
			}
		}
		if c.class == Personal {
			ci.Empty = formatEmpty(c.empty())
		}
		in.Columns = append(in.Columns, ci)
	}
	return in
}
