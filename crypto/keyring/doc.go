// Package keyring creates, wraps, hands out and destroys the keys of tenants
// and data subjects (TOM-7.2; Art. 32(1)(a) and Art. 17 GDPR).
//
// A root, from [KeyFile], [PassphraseFile], [UnsafeMountedKeyFile] or a
// [Wrapper] of your own, wraps a random key encryption key (KEK) per tenant,
// which wraps a random data encryption key (DEK) per data subject. The wrapped
// keys lie in a keystore. Open it by tenancy/sqlite.OpenKeystore, or by
// tenancy/postgres.OpenKeystore once tenancy/postgres.Setup has made its tables:
// [SQLStore] and [Migrations], on which both rest, have types that are internal to
// this module. [New] puts root and keystore together; [Ring.CreateTenant] is
// called once per tenant, [Ring.CreateCipher] with a new data subject,
// [Ring.Cipher] and [Ring.Ciphers] to read, [Ring.Shred] to erase. Package tenancy
// does the latter three. [Ring.KeepCopy], called daily, keeps copies of the
// keystore alone.
//
// Keys are replaced while everybody goes on sealing and opening: [Ring.Rotate]
// gives KEK, index key and data keys a successor, [Ring.RotateRoot] goes over to
// another root, [Ring.Destroy] ends what nothing needs any more. Package tenancy
// seals anew in between. [Ring.ShredTenant] ends all keys of a tenant, and
// [Ring.Horizon] says when a destroyed key is gone from all copies.
//
// # Guarantees
//
// Every key is random: none can be derived again from another one, so that a
// destroyed key is gone although the root lives. Every wrapped key is bound to
// tenant, name and version, and opens nowhere else: [ErrDamaged]. A root that
// is not the keystore's is refused before anything is created: [ErrRoot]. Nothing
// is sealed with a key that a service returned for another one.
//
// Instances that create the same key at once agree on one. A shredded data
// subject never gets a key again, and the database refuses to bring one back.
// In a SQLite keystore no byte of a shredded key remains, in the file or its
// write-ahead log, once [Ring.Shred] has returned nil.
//
// A rotation leaves nothing unreadable at any moment, as long as all instances
// have the same TTL: versions are known everywhere before the first one seals
// with them. Killed at any step it is called again. The keystore never destroys
// a KEK under a key, and no state of a key goes back.
//
// The keys of many data subjects come with one round trip; a warm one costs no
// allocation. An error is never cached, a key no longer than [Options.TTL].
// No key, whole or in part, is in any error. A tenant's data key stops sealing
// at 2^32 messages, counted over all instances. Index keys and secrets are
// overwritten in memory when they leave the cache.
//
// Under GODEBUG=fips140=only all works but argon2id, which is refused:
// [ErrNotApproved].
//
// # Not covered
//
// Copies of the keystore: a backup, snapshot or replica brings a shredded key
// back as long as it lives. Keep the keystore out of the backups of the data,
// give its own a short life, as [Ring.KeepCopy] does, and state it. On PostgreSQL
// each change leaves a row version behind: VACUUM takes it out of the rows and
// leaves its bytes in the free space of pages, VACUUM FULL leaves nothing, once
// no older transaction runs on the server; the write-ahead log and its archive
// have their own time. Other instances may use a warm key for [Options.TTL]
// after it was shredded elsewhere. Below the file system: journals and flash
// keep what was overwritten; encrypt the disk. SQLite keystores need
// journal_mode WAL or a file system that overwrites deleted journals. In
// memory: the expanded keys of ciphers, which crypto/cipher does not give out,
// copies that the garbage collector has not yet reused, and what callers were
// given.
//
// Key files on Windows, whose modes say nothing. A root that wraps to another
// length than the one before: a SQLite keystore does not take it, [ErrSize].
// Named secrets are not rotated. Whoever executes code in the process has the
// keys.
//
// # Compatibility
//
// The formats of wrapped keys, key files, passphrase files and copies of the
// keystore are v1 (docs/formats/wrapped-key.md, docs/formats/key-file.md,
// docs/formats/keystore-copy.md) and are read for ever.
package keyring
