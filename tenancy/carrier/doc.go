// Package carrier takes tenant, actor, session and reason of a context through job
// queues and message headers, to another process that shares the keystore.
//
// It carries clause TOM-8.1 ("Logische Mandantentrennung in der
// SaaS-Anwendung"): a job that is told its tenant in a plain field acts for
// whichever tenant somebody writes there, and so does a service that takes it from a
// header.
//
// Make a [Carrier] of the keys and a purpose, the same on both sides: the name of the
// queue or of the service. [Carrier.Seal] gives a text to put beside the job,
// [Carrier.Open] the context in which to do it:
//
//	jobs, err := carrier.New(keys, "queue/mail", nil)
//	token, err := jobs.Seal(ctx, time.Hour)  // where the job is made
//	ctx, err := jobs.Open(ctx, token)        // where it is done
//
// [Carrier.Transport] and [Carrier.Handler] do the same for requests from one service
// to another, in the header [Header]. An interceptor of gRPC or connect is made of
// [Carrier.Seal] for [RequestLife] on one side and [Carrier.OpenOnly] on the other, as
// the examples show; this package needs neither. What comes from browsers carries no
// such header: package session and package tenancy/web put the tenant into their
// context.
//
// # Guarantees
//
// A text that was not sealed for the same purpose under the same keystore, or was
// changed, or has expired, is [ErrRefused] and opens nothing. A context of another
// tenant is not overwritten: [tenancy.ErrOtherTenant]. Without a tenant nothing is
// sealed. The text shows neither tenant nor person nor reason: it is encrypted
// (docs/formats/carrier.md). A handler whose header is refused is not called: 401;
// while the keystore is down, 503.
//
// # Not covered
//
// A text can be opened again and again until it expires, since queues deliver a job
// more than once: a job must bear that, or keep the ids of those it has done. Whoever
// can put jobs into a queue can put one there twice. That the job is one of those for
// which the text was sealed: it says for whom to act, and not what to do. Clocks that
// differ: the life is shorter or longer by as much.
//
// # Compatibility
//
// The API may change before version 1. Texts of docs/formats/carrier.md open in all
// later versions, until they expire.
package carrier
