package check

import (
	"go/ast"
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// RawHandle reports a database that is opened past the library.
var RawHandle = &analysis.Analyzer{
	Name: "rawhandle",
	Doc: `report databases that are opened past art32

In a package that imports github.com/art32/art32/tenancy or one of its engines,
a handle from database/sql, its drivers, sqlx or pgx reaches the tenants' rows without scope,
encryption and audit log. Open the database with postgres.Open or sqlite.Open,
and use DB.InSQL where SQL of your own is needed. What is meant, such as a
migration by the owner's login, is excused by a comment on the line or the line
above: //art32:allow rawhandle REASON. Tests are not looked at.`,
	URL: "https://" + module,
	Run: rawHandle,
}

// opens are the functions that open a database, by import path without the
// major version.
var opens = map[string][]string{
	"database/sql":                 {"Open", "OpenDB"},
	driverPkg:                      {"Open", "OpenConnector", "Connect"}, // methods
	"github.com/jmoiron/sqlx":      {"Open", "MustOpen", "Connect", "ConnectContext", "MustConnect", "NewDb"},
	"github.com/jackc/pgx":         {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"github.com/jackc/pgx/pgconn":  {"Connect", "ConnectConfig", "ConnectWithOptions"},
	"github.com/jackc/pgx/pgxpool": {"New", "NewWithConfig", "Connect", "ConnectConfig"},
	"github.com/jackc/pgx/stdlib":  {"OpenDB", "OpenDBFromPool"},
}

const driverPkg = "database/sql/driver"

var majorVersion = regexp.MustCompile(`/v[0-9]+(/|$)`)

func rawHandle(pass *analysis.Pass) (any, error) {
	if !slices.ContainsFunc(pass.Files, importsTenancy) {
		return nil, nil //nolint:nilnil // no result
	}
	r := newReporter(pass)
	for _, f := range pass.Files {
		if r.isTest(f) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && opensDatabase(pass.TypesInfo.Uses[id]) {
				r.reportf(id, "%s opens a database past art32: open it with tenancy/postgres or tenancy/sqlite and use DB.InSQL, or say //art32:allow rawhandle and why", qualified(pass.TypesInfo.Uses[id]))
			}
			return true
		})
	}
	return nil, nil //nolint:nilnil // no result
}

func importsTenancy(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(spec *ast.ImportSpec) bool {
		path, err := strconv.Unquote(spec.Path.Value)
		return err == nil && (path == tenancyPkg || strings.HasPrefix(path, tenancyPkg+"/"))
	})
}

func opensDatabase(obj types.Object) bool {
	fn, ok := obj.(*types.Func)
	if !ok || fn.Pkg() == nil || (fn.Signature().Recv() != nil) != (fn.Pkg().Path() == driverPkg) {
		return false
	}
	path := majorVersion.ReplaceAllString(fn.Pkg().Path(), "$1")
	return slices.Contains(opens[path], fn.Name())
}

func qualified(obj types.Object) string { return obj.Pkg().Name() + "." + obj.Name() }
