// Package field encrypts single fields of a row so that they open at their
// place only, and finds them again by blind index (TOM-7.2; Art. 32(1)(a) GDPR).
//
// A struct declares what is to be encrypted as [Encrypted]; [New] puts a value
// in, [Encrypted.Reveal] takes it out. A repository seals and attaches through
// [Sealable], with a [Cipher] from package keyring and the [Scope] of the row.
// Package tenancy does all this; without it, [Cipher] and [Index] serve alone.
//
// # Guarantees
//
// A ciphertext opens with its key, in its tenant, table, column and row, or not
// at all: moved, exchanged, truncated or changed it gives [ErrOpen], and the
// error does not tell which it was. It commits to its key: no ciphertext opens
// under two keys or at two places. What is erased gives [ErrErased], and NULL
// stays apart from empty.
//
// A field shows [Redacted] in fmt, log/slog, encoding/json, templates and
// wherever else text is made of it, also as an unexported part of another
// struct; the marker does not come back in as content. Value refuses what is
// not sealed, so that no driver stores plaintext.
//
// Numbers, bool and time have encodings of fixed width, so that the length of a
// ciphertext tells nothing. Everything works under GODEBUG=fips140=only.
//
// # Not covered
//
// Whoever may write the database can put back an older ciphertext of the same
// place: the audit log shows it. The length of texts and bytes shows. A blind
// index shows which rows may be equal, a unique one which are. Memory: the
// runtime may keep copies of plaintexts, and a debugger sees them. HMAC and
// HKDF are composed here over crypto/sha256, which matters to a formal FIPS
// boundary.
//
// # Compatibility
//
// The format is v1 (docs/formats/field.md) and is read for ever; testdata holds
// values that every later version must open.
package field
