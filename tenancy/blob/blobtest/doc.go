// Package blobtest is the kit for places of package blob: what [blob.Place] demands,
// as cases that a test of an own place runs.
//
// It serves clause TOM-8.1 ("Logische Mandantentrennung in der SaaS-Anwendung"): a
// place that lists too little, ends an object early or takes a name for a path would
// lose contents, or show them to others. [Run] runs all cases; [Cases] gives them as
// data.
//
// # Not covered
//
// That an object outlives a crash of the machine.
//
// # Compatibility
//
// New versions may bring new cases.
package blobtest
