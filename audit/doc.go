// Package audit keeps a log of who did what, when and why, that outsiders can
// verify and that still forgets people.
//
// It carries clause TOM-5.1 (input control: who entered, changed or removed
// data) and gives TOM-3.3 (logging of access) its ground. A [Log] writes each
// event into the transaction of the change that it describes. A [Sealer] later
// gives the events their places in a Merkle tree per tenant and signs its head.
// The platform has such a log too, which names those of the tenants.
// [Verify] checks all of it without any secret. [Export] writes the logs of a
// tenant in the form of c2sp.org/tlog-tiles, for verifiers that others wrote and
// for [VerifyExport], which needs no database. [Prove] and [VerifyProof] show one
// entry to somebody else.
//
// Make the log with [New], hand it to the Open function of an engine, and run
// one sealer per process:
//
//	log, err := audit.New(keys, nil)
//	db, err := sqlite.Open(ctx, dir, schema, keys, log, nil)
//	sealer, err := audit.NewSealer(log, db, nil)
//	go sealer.Run(ctx)
//
// From there every change through package tenancy is logged, and who reads the rows
// of tables whose tag says reads. [Log.Record] and [Log.Write] log what is no change
// of a row. [Log.Query] shows pages to people, and is an event itself; [Log.Events]
// walks through all for checks and jobs.
//
// A [Class] gives actions a policy: a person must say why; the answer is held until a
// checkpoint covers the event. The library brings some for what concerns tenants,
// keys, accesses over tenants and exports ([Log.Classes]).
//
// [Recorder.Import] takes in what other programs have logged.
//
// What an event tells about people or data is its payload, encrypted under the
// data subject's key. The tree holds random ids and digests of ciphertexts:
// with the key the payload is gone, while entries, roots and proofs stay valid.
//
// A tenant's log ends after a period, and another begins, with a key of its own for
// which the old one vouches; the same serves the rotation of a key and a restore
// ([Sealer.Renew]). [Retention] drops logs that are no longer to be kept, as a whole,
// and empties payloads that are older than their class allows, unless a legal hold
// keeps them ([Log.Hold]).
//
// What is sealed leaves the house in three ways. A [Publisher] brings signed heads to
// places that the database's administrator does not control, and compares them with
// what lies there: packages dirplace, s3place, witness and mailplace. A [Feed] sends
// entries without their payload to a collector: packages filesink and httpsink.
// [Log.WriteJSONL] and [Log.WriteCSV] write a tenant's entries with their payloads, for
// those who may see them.
//
// # Guarantees
//
// A change and its event commit together or not at all, and no event is written
// without an actor. A log never forks, however many sealers run and wherever
// one dies. [Verify] finds every change of a sealed entry or its payload that is
// covered by a checkpoint, and names the entry: edited, deleted, inserted,
// reordered, a payload exchanged or removed without a sealed entry of erasure. It
// finds a tenant's log that was put there from elsewhere, since the platform's
// log names the log of each tenant. An event that was written or edited outside
// the application before it was sealed is not sealed, and found; [Log.Events]
// marks it. No payload stands in an export, an error or a line of a logger. A log that
// did not grow from a head that a place holds is found when the next is published, and
// a sealer that falls behind within [SealerOptions].MaxLag and a quarter.
//
// # What to hold outside
//
// One key: that of the platform's log ([Report].PlatformKey, which `art32 audit
// verify` prints), to be passed as [VerifyOptions].PlatformKey. A log's id
// follows from its key, and the platform's log holds the ids of all others, so
// that this one key vouches for every key. And checkpoints, or exports, which
// hold one ([VerifyOptions].Checkpoints): the newer they are, the less can be
// taken back unseen. A [Publisher] brings them there.
//
// # Not covered
//
// Without anything held outside, these look sound: a log whose end was taken
// back, with its rows, tiles and newer checkpoints, to an older checkpoint, as
// after the restore of an old backup; a log whose tables were all emptied, where
// the platform's log was treated likewise or new events followed; and a
// platform's log that was replaced as a whole, with the logs of all tenants. The
// key held outside shows the last, checkpoints held outside show all three.
//
// Whoever holds the signing keys and the database can write another history:
// only checkpoints held outside show it. An event that is deleted before it is
// sealed leaves no trace in the tree, so that the sealer's interval is a window. An event
// that was kept aside before it was sealed, or of a log that was dropped, can be put
// back later and is sealed then, with the time that it says.
// Of what callers' own SQL changes in a tenancy.DB.InSQL the log holds tables, verbs and
// numbers of rows (an event "<table>.sql"), or what the caller records with
// [Log.Record] in its place; which rows they were it does not hold. [Log.Coverage] shows
// where that was done. Whoever wants to can get past these nets, with statements in
// the database's own functions and deferred triggers that write once the event is
// there: they are against forgetting. The open part of an event, such as the id of a
// row and of an actor, outlives an erasure; it can no longer be linked by us,
// but copies that others hold are out of reach. A reason under which no person's
// row was changed is encrypted for the tenant, and stays: it should name nobody.
//
// # Compatibility
//
// The API may change before version 1. Leaves, checkpoints and exports follow
// docs/formats/audit-leaf.md and docs/formats/audit-log.md for ever.
package audit
