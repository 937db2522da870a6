// Package sessiontest helps to test handlers that need a session, and stores that
// keep them.
//
// It serves the evidence for TOM-2.3 and TOM-5.2. A test of a handler logs in with
// [Request], or with [Login] where it has a client of its own; [NewManager] makes
// a manager for tests that have none:
//
//	m := sessiontest.NewManager(t, nil)
//	r := sessiontest.Request(t, m, session.Identity{Tenant: tenant, User: user}, "GET", "/invoices", nil)
//	m.Middleware(app).ServeHTTP(w, r)
//
// A test of a [session.Store] calls [RunStore]; [StoreCases] are the same checks
// as data.
//
// # Guarantees
//
// Each case fails for at least one store that is broken on purpose, and each
// such store fails a case: the package's own tests show it.
//
// # Not covered
//
// What a store promises about speed, and about crashes.
//
// # Compatibility
//
// The API may change before version 1; later versions may bring more cases.
package sessiontest
