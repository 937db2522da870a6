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
//	go func() { ran <- m.Run(ctx) }() // ran: make(chan error, 1)
//	http.ListenAndServeTLS(addr, cert, key, m.Middleware(mux))
//
// The store is of package sqlstore, or of memstore for a single process; the
// recorder is an *audit.Recorder. How a program comes to both show main.go and
// login.go of [examples/quickstart]. Use TLS in development too, as the Example
// does: some clients drop a Secure cookie that comes over http. Inside a handler [From] gives the session, and
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
// this node at once, on others after [Options].Poll and the time that the store
// takes to answer, where they [Manager.Run]; at once where a request finds it
// ended. A request reads its session at most twice, however many others end. A
// token opens one session of one tenant; the tenant comes from the store.
//
// Each login, logout and revocation is recorded before it happens, or does not
// happen. The log may tell of a login that failed after that, never the reverse.
// While the store is down, requests with a cookie are answered with 503. A
// session that has expired is over also while that cannot be recorded; the event
// and the tombstone come with the next request in it. No token and no hash stands
// in an error, a log line, an event or telemetry.
//
// The cookie is Secure, HttpOnly, SameSite=Lax, bound to the host, and gone with
// the browser; no cache may keep a response that sets or clears it. A request in
// steady state reads one row and writes none.
//
// # Not covered
//
// Who somebody is: package session/password checks passwords. What they may do. A
// login under way when the account was disabled: see [Manager.Revoke].
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
//
// [examples/quickstart]: https://github.com/art32/art32/tree/main/examples/quickstart
package session
