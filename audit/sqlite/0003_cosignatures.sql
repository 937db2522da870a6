-- What leaves the house: signatures of witnesses beside checkpoints, when a place
-- that wants heads seldom last got one, and how far each feed has come.

-- A line of a witness (c2sp.org/tlog-cosignature) for the checkpoint of a size.
CREATE TABLE art32_cosignatures (
	tenant_id  TEXT NOT NULL,
	log_id     TEXT NOT NULL REFERENCES art32_logs (id),
	size       INTEGER NOT NULL,
	line       TEXT NOT NULL, -- of a signed note, without its end
	created_at INTEGER NOT NULL, -- microseconds since 1970, UTC
	PRIMARY KEY (log_id, size, line)
) STRICT;

CREATE TABLE art32_publications (
	tenant_id TEXT NOT NULL,
	log_id    TEXT NOT NULL REFERENCES art32_logs (id),
	place     TEXT NOT NULL,
	size      INTEGER NOT NULL,
	at        INTEGER NOT NULL, -- microseconds since 1970, UTC
	PRIMARY KEY (log_id, place)
) STRICT;

CREATE TABLE art32_feeds (
	tenant_id TEXT NOT NULL,
	name      TEXT NOT NULL,
	next      INTEGER NOT NULL, -- events.leaf of the first that the sink has not taken
	PRIMARY KEY (tenant_id, name)
) STRICT;
