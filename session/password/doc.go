// Package password hashes passwords with argon2id and keeps the memory that
// this takes within a budget (TOM-2.2; Art. 32(1)(b) GDPR).
//
// [New] makes a [Hasher] for the process. [Hasher.Hash] gives the text that is
// stored with the account, [Hasher.Verify] judges a login and says when the
// stored text should be renewed, [Hasher.Dummy] does the same work for a user
// that does not exist. The package needs nothing else of this library.
//
// # Guarantees
//
// Nothing below the table of OWASP's Password Storage Cheat Sheet can be
// configured. A password is hashed byte for byte as it was received: no
// trimming, no change of case, no normalisation, no cut at a NUL or at 72 bytes.
//
// Hashes that run at the same time never ask for more than [Options.Memory]
// together. Who must wait waits in order, in a queue of [Options.Queue] places,
// until the context ends; beyond it [ErrBusy] answers at once. A stored text is
// judged before any memory is taken for it: one that asks for more than the
// budget, or for more than a second or so of work, is [ErrHash] after the work of
// the preset.
//
// Hashes are compared in constant time, and a text that cannot be used takes the
// time of a user who does not exist. No error holds a password, a hash or a
// part of either.
//
// # Not covered
//
// What a good password is: length, blocklist, words of the context. How often
// somebody may try. A pepper, and the binding of a hash to its account: seal the
// text as a field.Encrypted. Hashes of other functions, bcrypt say: they are
// [ErrHash].
//
// A hash that has begun runs to its end, whatever becomes of the context. The
// budget counts what hashes in progress ask for; as with all memory in Go the
// collector holds what they left until its next run, by GOGC=100 up to as much
// again. Passwords stay in the memory of the process: clearing them is up to the
// caller, and no promise in Go. argon2id is not a function that FIPS 140 approves.
//
// # Compatibility
//
// The stored text is the PHC string of the argon2 reference implementation,
// version 19, and is read for ever.
package password
