// Package check holds the analyzers of art32vet, which find in a program what
// takes it past the measures of the library: [RawHandle] (TOM-8.1), [OuterCtx]
// (TOM-5.1), [RevealLog] (TOM-7.2), [Unclassified] and [ShapedSQL] (TOM-8.1).
//
// # Guarantees
//
// A finding says what to do. One that is meant is excused where it stands, with
// a reason that a reviewer can read:
//
//	//art32:allow rawhandle the owner's login looks from outside
//
// on the line of the finding or the line above. Without a reason it excuses
// nothing and is a finding itself.
//
// [Unclassified] answers with the words of tenancy.NewRepository; a test
// compares the two.
//
// # Not covered
//
// The analyzers read one function or one declaration at a time. They follow no
// value into another function, a struct's field or a channel, and no context
// that is renamed. They find slips, not intent: what must not happen is held by
// the database and by the types.
//
// By name, [OuterCtx] does not find a context that a function or a method without
// a context of its own hands out (s.context(), get()), that lies in a slice, a map
// or a channel, or behind a pointer; a database that a function literal of a
// context has caught outside; and a transaction that is kept beyond its function.
// A variable from outside that was set to a value of the inner context on one way
// it takes to be set on all.
//
// [RevealLog] does not find a function of a log or a stream in a variable of the
// package (var info = slog.Info), Reveal through an interface, values behind a
// pointer or in a channel, keys of a map, writers other than strings.Builder,
// bytes.Buffer and those that buffer or double a standard stream (an encoder of
// JSON is one), records of a slog.Handler, attributes of telemetry, what fmt.Sscan reads, and errors of other packages that quote what they were
// given. What a function literal sets it takes to be set at any time.
//
// [RawHandle] does not find the methods of drivers beside database/sql.
//
// [ShapedSQL] takes a variable to hold whatever it is given anywhere in its package;
// text from a function, a field, a slice or a map it takes to be put together. It
// does not find statements behind an interface or a function of one's own.
//
// # Compatibility
//
// Names of analyzers and the form of the comment stay.
package check

import "golang.org/x/tools/go/analysis"

// All are the analyzers of art32vet.
func All() []*analysis.Analyzer {
	return []*analysis.Analyzer{RawHandle, OuterCtx, RevealLog, Unclassified, ShapedSQL}
}

const (
	module     = "github.com/art32/art32"
	tenancyPkg = module + "/tenancy"
	fieldPkg   = module + "/crypto/field"
)
