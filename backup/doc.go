// Package backup makes encrypted backups that the machine which writes them
// cannot read, and restores them without bringing back who was erased.
//
// It carries clauses TOM-7.1 (regular backups), TOM-7.2 (encrypted backups) and
// TOM-7.3 (tested restore). A [Job] copies a [Source] into a [Target]; a [Vault]
// beside them holds what a backup cannot be opened without:
//
//	vault, err := backup.OpenVault(ctx, keys, []string{"age1operator…", "age1escrow…"}, "/mnt/vault-a", "/mnt/vault-b")
//	db, err := sqlite.Open(ctx, dir, schema, keys, log, &sqlite.Options{Ledger: vault.Ledger()})
//	target, err := dirtarget.Open("/mnt/backup")
//	job, err := backup.New(sqlitesource.New(dir, nil), target, vault, keys, recorder, nil)
//	m, err := job.Run(ctx) // called by whatever calls at night
//
// [List] and [Verify] look at what a target holds, [Restore] puts a run into an
// empty place, [Replay] repeats the erasures after a restore by hand. Beside the
// parts of each run lie RESTORE.md and restore.sh: age, zstd, tar, ssh-keygen
// and sqlite3 or psql are enough.
//
// # Keys
//
// What tenants share is encrypted to the recovery recipients, people whose age
// identities are never on this machine. A tenant's part is encrypted to that
// tenant's identity alone. It is made with the tenant's first backup, encrypted
// to the recovery recipients, laid into the vault and forgotten. [Vault.Forget]
// deletes it, and with it every copy of every backup of the tenant, wherever it
// lies. Hold [Job.Signer] outside: it tells your backups from those that
// somebody put there.
//
// # Guarantees
//
// A run exists from the moment at which its signed manifest does, which is
// written last and after the log's entry. Wherever it dies, the runs before it
// stay whole, and the next one clears away and makes the folders of the vault
// equal again. Target, vault and manifest hold no
// word of a row, no name and no id of a tenant in clear.
//
// A restore writes nothing before the signature and every digest are checked,
// uses no byte of a part that is not in the private copy whose digest it found
// right, compares each table with what the source counted, compares the signer
// with that of the restored keystore, repeats every erasure of the ledger, and
// only then lets its place be used. The signer must be named by the caller. It
// fails with one of [ErrNotCommitted], [ErrSignature], [ErrDamaged],
// [ErrIdentity], [ErrLedger], [ErrVault] and [ErrNotEmpty], and then leaves
// nothing.
//
// No erasure begins before the ledger holds it in all folders of the vault. A
// ledger that is older than any run is refused, by runs, by restores, by [Replay]
// and by [Verify]: they ask all that the signer has said, in the manifests of the
// target and in the notes of the vault. Restores, Replay, and Verify where it is
// given the keys, refuse entries that this system did not write. Erasures past
// the ledger are found by the next run, where the source tells of them
// ([Eraser]). A target that was set back is found out where the vault tells of
// newer runs ([Newest], [Report].Newer, [Restored].Newer).
//
// What the vault holds is signed, or bears a code that this system alone can
// make: somebody who can write to one of its folders can stop its use, and
// cannot have anything deleted, left out or encrypted to himself. Nor can
// somebody who writes the target have the vault throw away what opens the copies
// elsewhere; runs that he removes are missed by the next one.
//
// # Not covered
//
// When to run, and what to delete when: nothing is ever deleted but remains of
// runs that died, and old copies of the keystore. Restoring to a moment between
// two runs; pgBackRest and WAL-G do. Rotation of recovery recipients: tenants
// that have an identity keep theirs ([Job.Check] counts them). Entries of the
// ledger do not expire. A ledger all of whose copies, or of which the only one
// that is given, are cut to an entry behind the newest run: entries after a run
// are vouched for by the two folders agreeing. The keystore is in every backup's
// vault copy: a key that was destroyed can be brought back from it, by a recovery
// identity and the root together, until newer runs have replaced it. Whoever can
// execute code in the process, or writes to the target, can delete backups; let
// another machine fetch them.
//
// # Compatibility
//
// The API may change before version 1. Backups and vaults follow
// docs/formats/backup.md and are restored for ever.
package backup
