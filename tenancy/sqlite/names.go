package sqlite

import "strings"

const prefix = "art32_"

// deniedFunctions reach beyond SQL: code, pointers, files, the error log. All
// other functions that SQLite has were looked at one by one; a test fails when
// a new version brings another.
//
//nolint:gochecknoglobals // a constant table
var deniedFunctions = map[string]bool{
	"load_extension": true,
	"fts3_tokenizer": true,
	"fts5":           true, // hands out the address of an interface
	"sqlite_log":     true,
	"readfile":       true, // of the shell, not in the library as it is built today
	"writefile":      true,
	"edit":           true,
}

// pragmas that can only read. The value says whether an argument names what to
// describe. Those that set something when given an argument are left out even
// for reading: an empty argument cannot be told from none.
//
//nolint:gochecknoglobals // a constant table
var pragmas = map[string]bool{
	"table_info":       true,
	"table_xinfo":      true,
	"table_list":       true,
	"index_list":       true,
	"index_info":       true,
	"index_xinfo":      true,
	"foreign_key_list": true,
	"collation_list":   false,
	"compile_options":  false,
	"function_list":    false,
	"module_list":      false,
	"pragma_list":      false,
	"page_count":       false,
	"freelist_count":   false,
	"data_version":     false,
}

func (a access) harmlessPragma() bool {
	describes, ok := pragmas[strings.ToLower(a.arg1)]
	return ok && (a.arg2 == "" || describes && !mentions(a.arg2))
}

// readable reports whether a caller may read from a table. A common table
// expression asks here too, under its own name, when none of its columns is
// used; its body asks again.
func readable(table string) bool {
	if reserved(table) || rawPages(table) {
		return false
	}
	name := strings.ToLower(table)
	if pragma, ok := strings.CutPrefix(name, "pragma_"); ok {
		_, ok = pragmas[pragma]
		return ok
	}
	return !internal(name) || name == "sqlite_schema" || name == "sqlite_master"
}

// reserved reports whether a name is in the library's part of the name space.
func reserved(name string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// mentions reports whether a name of the library stands anywhere in text.
func mentions(text string) bool { return strings.Contains(strings.ToLower(text), prefix) }

// internal reports whether a name belongs to SQLite: sequences, statistics
// (which hold samples of indexed values), the schema.
func internal(name string) bool {
	const p = "sqlite_"
	return len(name) >= len(p) && strings.EqualFold(name[:len(p)], p)
}

// rawPages reports whether a table shows the bytes of the file, and with them
// every row of every table.
func rawPages(name string) bool {
	switch strings.ToLower(name) {
	case "sqlite_dbpage", "sqlite_dbdata", "sqlite_dbptr", "dbstat":
		return true
	}
	return false
}
