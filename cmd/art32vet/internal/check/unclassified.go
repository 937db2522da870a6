package check

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// Unclassified reports declarations of tables that tenancy.NewRepository
// refuses.
var Unclassified = &analysis.Analyzer{
	Name: "unclassified",
	Doc: `report tables whose declaration tenancy refuses

tenancy.MustRepository panics when the program starts, and NewRepository fails,
if a column of the struct has no class, an art32 tag has an unknown word, no
column is the key or the tenant, or a type does not fit. This says the same, in
the same words, before the program runs: at the struct's field, or at the
declaration of the repository where the struct lies in another package. The name
of the table is not looked at, nor a type parameter.`,
	URL: "https://" + module,
	Run: unclassified,
}

func unclassified(pass *analysis.Pass) (any, error) {
	r := newReporter(pass)
	seen := map[types.Type]bool{}
	byPosition := func(a, b *ast.Ident) int { return int(a.Pos() - b.Pos()) }
	for _, id := range slices.SortedFunc(maps.Keys(pass.TypesInfo.Instances), byPosition) {
		if !makesRepository(pass.TypesInfo.Uses[id]) {
			continue
		}
		typ := types.Unalias(pass.TypesInfo.Instances[id].TypeArgs.At(0))
		if _, generic := typ.(*types.TypeParam); generic || seen[typ] {
			continue
		}
		seen[typ] = true
		for _, fault := range declarationFaults(typ) {
			var at ast.Node = id
			if fault.field != nil && r.holds(fault.field.Pos()) {
				at = span(fault.field.Pos())
			}
			r.reportf(at, "table of %s: %s", typeName(typ), fault.text)
		}
	}
	return nil, nil //nolint:nilnil // no result
}

func makesRepository(obj types.Object) bool {
	fn, ok := obj.(*types.Func)
	return ok && fn.Pkg() != nil && fn.Pkg().Path() == tenancyPkg && (fn.Name() == "NewRepository" || fn.Name() == "MustRepository")
}

// holds reports whether a position lies in the files at hand.
func (r *reporter) holds(pos token.Pos) bool {
	return slices.ContainsFunc(r.pass.Files, func(f *ast.File) bool { return f.FileStart <= pos && pos < f.FileEnd })
}

// span is a position as a node.
type span token.Pos

// Pos is the position.
func (s span) Pos() token.Pos { return token.Pos(s) }

// End is the position too.
func (s span) End() token.Pos { return token.Pos(s) }
