// Package bench compares art32 with other libraries. It is a module of its own
// that is never released, so that the code of the peers stays out of the
// requirements of every importer. The benchmarks of a top-level package lie in
// the folder of its name; `make bench` runs them and prints a line for each
// promise.
package bench
