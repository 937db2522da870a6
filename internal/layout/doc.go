// Package layout holds the rules for the shape of this module, which its tests
// apply to the module itself: who may import whom, what must be documented,
// what no package may do, and that documents and golden files say what the code
// says. Each rule has a broken module in testdata that shows that it can fail.
//
// `go test ./internal/layout -update` rewrites what is derived from the code:
// the golden files of the exported API under api/ and the last column of
// docs/dependencies.md.
package layout
