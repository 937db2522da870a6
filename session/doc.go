// Package session keeps people logged in for as long as they should be, and ends
// that when it should end.
//
// It carries clauses TOM-2.3 (automatic lock after inactivity) and TOM-5.2
// (what happens can be traced to a person). A session is one row of fixed columns
// behind a random token, of which only the hash is stored: a proof of who asks,
// not a bag for data.
//
// Make a [Manager] of a [Store] and the audit log, wrap the application, and log
// people in once their identity is proved:
//
//	m, err := session.New(store, recorder, nil)
//	mux.Handle("POST /login", …)    // s, err := m.Login(w, r, session.Identity{Tenant: t, User: u})
//	mux.Handle("POST /logout", …)   // err := m.Logout(w, r)
//	mux.Handle("/app/", m.Require(app))
//	go m.Run(ctx)
//	http.ListenAndServe(addr, m.Middleware(mux))
//
// The store is of package sqlstore, or of memstore for a single process; the
// recorder is an *audit.Recorder. Inside a handler [From] gives the session, and
// package tenancy finds tenant, actor and session in the context. [Manager.Revoke]
// ends the sessions of a user or tenant.
//
// # Guarantees
//
// Without a request for [Policy].Idle, and after [Policy].Absolute, a session is
// no session: judged at each request, by the policy of now, and never late. After
// a crash, or with several nodes, idle time may end early by a twentieth of it. A
// session that was ended stays ended, whatever requests were under way and
// wherever a clock is set. A login has a new token and id, and ends the session
// that the request carried. Ending a session ends the requests that run in it: on
// this node at once, on others within [Options].Poll, where they [Manager.Run]. A
// token opens one session of one tenant; the tenant comes from the store.
//
// Each login, logout, revocation and expiry is recorded before it happens, or
// does not happen. The log may tell of a login that failed after that, never the
// reverse. While store or log are down, requests with a cookie are answered with
// 503. No token and no hash stands in an error, a log line, an event or telemetry.
//
// The cookie is Secure, HttpOnly, SameSite=Lax, bound to the host, and gone with
// the browser. A request in steady state reads one row and writes none.
//
// # Not covered
//
// Who somebody is: package session/password checks passwords. What they may do.
// Cross-site GET requests, WebSocket handshakes included: a handler of GET must
// only read. Code that outlives its request's context. A browser that keeps its
// cookies when it is closed. Whoever may write the table of sessions. Clocks of
// nodes that differ: limits shift by as much; rows that are more than a minute
// ahead are no sessions. A session to which nobody returns leaves no event of its
// end.
//
// # Compatibility
//
// The API may change before version 1. The cookie keeps its name and form.
package session
