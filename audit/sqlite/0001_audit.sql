-- The audit log: events, the parts of their payloads, and the Merkle tree over
-- them. docs/formats/audit-leaf.md and audit-log.md say what the columns hold.

-- One event. All but seq and leaf goes into the leaf of the tree.
CREATE TABLE art32_events (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	id        TEXT NOT NULL,
	tenant_id TEXT NOT NULL,
	at        INTEGER NOT NULL, -- microseconds since 1970, UTC
	writer    TEXT NOT NULL,
	counter   INTEGER NOT NULL,
	actor     TEXT NOT NULL,
	session   TEXT NOT NULL,
	action    TEXT NOT NULL,
	object    TEXT,
	outcome   INTEGER NOT NULL CHECK (outcome IN (1, 2)),
	digests   BLOB NOT NULL CHECK (length(digests) % 32 = 0),
	mac       BLOB NOT NULL CHECK (length(mac) = 32),
	leaf      INTEGER -- NULL: not sealed yet; -1: never, for its MAC is wrong
) STRICT;
CREATE UNIQUE INDEX art32_events_id ON art32_events (tenant_id, id);
CREATE UNIQUE INDEX art32_events_leaf ON art32_events (tenant_id, leaf) WHERE leaf >= 0;
CREATE INDEX art32_events_pending ON art32_events (tenant_id, seq) WHERE leaf IS NULL;
CREATE INDEX art32_events_rejected ON art32_events (tenant_id, seq) WHERE leaf < 0;
CREATE INDEX art32_events_object ON art32_events (tenant_id, object, seq) WHERE object IS NOT NULL;

-- What an event tells about people: ciphertexts, one part per person. Both
-- columns become NULL when the person is erased.
CREATE TABLE art32_event_parts (
	tenant_id  TEXT NOT NULL,
	event_id   TEXT NOT NULL,
	part       INTEGER NOT NULL,
	subject    TEXT,
	ciphertext BLOB,
	PRIMARY KEY (tenant_id, event_id, part)
) STRICT;
CREATE INDEX art32_event_parts_subject ON art32_event_parts (tenant_id, subject) WHERE subject IS NOT NULL;

-- The log of the file's tenant; the platform's has the tenant of all zeroes.
CREATE TABLE art32_logs (
	id         TEXT PRIMARY KEY NOT NULL,
	tenant_id  TEXT NOT NULL,
	shard      INTEGER NOT NULL, -- a tenant's logs follow each other
	base       INTEGER NOT NULL, -- leaf number of the log's first leaf in events
	origin     TEXT NOT NULL,
	vkey       TEXT NOT NULL,
	size       INTEGER NOT NULL,
	root       BLOB NOT NULL CHECK (length(root) = 32),
	created_at INTEGER NOT NULL,
	UNIQUE (tenant_id, shard)
) STRICT;

CREATE TABLE art32_tiles (
	tenant_id TEXT NOT NULL,
	log_id    TEXT NOT NULL REFERENCES art32_logs (id),
	level     INTEGER NOT NULL,
	n         INTEGER NOT NULL,
	data      BLOB NOT NULL, -- 32 bytes for each hash, at most 256
	PRIMARY KEY (log_id, level, n)
) STRICT;

CREATE TABLE art32_checkpoints (
	tenant_id  TEXT NOT NULL,
	log_id     TEXT NOT NULL REFERENCES art32_logs (id),
	size       INTEGER NOT NULL,
	note       TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (log_id, size)
) STRICT;
