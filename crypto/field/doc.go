// Package field encrypts single fields of a row so that they open at their
// place only, and finds them again by blind index (TOM-7.2; Art. 32(1)(a) GDPR).
//
// A struct declares what is to be encrypted as [Encrypted]; [New] puts a value
// in, [Encrypted.Reveal] takes it out. A repository seals and attaches through
// [Sealable], with a [Cipher] from package keyring and the [Scope] of the row.
// Package tenancy does all this. A table of the application's own is served by
// [Fields], [Cipher] and [Index] alone; the example OwnTable is all there is to it.
// Attachments are sealed as streams: [Cipher.SealStream], [Cipher.OpenStream]. A
// column that holds plaintext already is taken over by a [Migration].
//
// # Guarantees
//
// A ciphertext opens with its key, in its tenant, table, column and row, or not
// at all: moved, exchanged, truncated or changed it gives [ErrOpen], and the
// error does not tell which it was. It commits to its key: no ciphertext opens
// under two keys or at two places. What is erased gives [ErrErased], and NULL
// stays apart from empty. A stream opens in the order of its chunks and as a
// whole: cut, extended or put together anew it gives [ErrOpen] too.
//
// A field shows [Redacted] in fmt, log/slog, encoding/json, templates and
// wherever else text is made of it, also as an unexported part of another
// struct; the marker does not come back in as content. A template that calls
// Reveal or RevealAny by name reveals; nothing else in it does. Readers by
// reflection reach neither content nor keys. Value refuses what is not sealed, so
// that no driver stores plaintext.
//
// Numbers, bool, time and date have encodings of fixed width and JSON is padded,
// so that the length of a ciphertext tells little or nothing. Everything works
// under GODEBUG=fips140=only.
//
// # Not covered
//
// Whoever may write the database can put back an older ciphertext of the same
// place, and streams in their store: the audit log shows it. The length of texts,
// bytes and streams shows. A blind index shows which rows may be equal, a unique
// one which are, a prefix which begin alike. Until the date of a [Migration] a
// plaintext that somebody wrote into the database is read like any other. Memory: the
// runtime may keep copies of plaintexts, and a debugger sees them. HMAC and
// HKDF are composed here over crypto/sha256, which matters to a formal FIPS
// boundary.
//
// # Compatibility
//
// The formats are v1 (docs/formats/field.md, docs/formats/stream.md) and are read
// for ever; testdata holds values that every later version must open, as JSON for
// other implementations. Package fieldtest tries those.
package field
