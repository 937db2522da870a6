// Package audittest asserts in an application's tests what a handler wrote into
// the audit log.
//
// It gives clause TOM-5.1 ("Protokollierung relevanter Änderungen in der
// Anwendung") its evidence for code that the repositories alone do not cover:
// the right action, by the right person, about the right row, and nothing else.
//
//	a := audittest.Watch(t, w.Log, w.DB, w.A) // w of package tenancytest
//	handler.ServeHTTP(rec, req)
//	a.Wrote(audittest.Event{Action: "customers.update", Object: id, Fields: []string{"plan"}})
//	a.Nothing() // else
//
// A package that leaves a trace through an interface Recorder of its own is
// given a [Recorder], which keeps what it is told in memory and fails on demand:
// no entry, no action.
//
// The kit of the log itself is [Run]: it does to a log all that an administrator of
// the database could, one thing after the other, and demands that [audit.Verify] finds
// each. It needs no tables of the application:
//
//	func TestLog(t *testing.T) { tenancytest.Each(t, schema, nil, audittest.Run) }
//
// # Guarantees
//
// The events are read from the log itself, as [audit.Log.Events] yields them.
// No message of a failed test holds a value of a payload.
//
// # Not covered
//
// Events that another process writes meanwhile count like those of the handler.
//
// # Compatibility
//
// The API may change before version 1.
package audittest
