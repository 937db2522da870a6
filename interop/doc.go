// Package interop lets programs that others wrote judge what art32 writes. It
// is a module of its own and never released, so that no importer of art32 meets
// their requirements.
package interop
