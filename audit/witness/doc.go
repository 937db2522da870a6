// Package witness has the signed heads of audit logs cosigned by a witness
// (c2sp.org/tlog-witness): an independent service that signs a head only if the log
// grew from the one that it signed before.
//
// It carries clause TOM-5.1 (input control). [New] gives the [audit.Place] over the
// URL and the public key of a witness. Its operator must have been told the public
// keys of the logs, as [audit.Report] or a file log.vkey holds them; of the logs that
// it does not know it takes nothing, which is no error. A vendor whose tenants are
// many has the platform's log witnessed at least, which names all others.
//
// # Guarantees
//
// What a witness answers counts only once its signature is verified
// (c2sp.org/tlog-cosignature, Ed25519). A witness that holds a greater size, or
// another root, is an [*audit.Disagreement]. It is spoken to over TLS, unless it is on
// the loopback interface; no redirect is followed, and answers and times are bounded.
// It learns the ids, sizes and roots of logs, and when they grow; nothing of entries.
//
// # Not covered
//
// A witness that cosigns anything: choose one that is nobody's of the vendor's.
// Cosignatures of type ML-DSA-44, which the specification prefers for new witnesses,
// are not verified yet; a witness that gives both kinds serves.
//
// # Compatibility
//
// The API may change before version 1.
package witness
