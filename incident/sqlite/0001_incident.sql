-- Cases, notices and contacts, in the platform's database. Times are
-- microseconds since 1970, UTC. What people wrote is encrypted: the case under
-- the platform's key, notice and contact under the tenant's.

CREATE TABLE art32_incident_cases (
	id          TEXT PRIMARY KEY NOT NULL,
	aware_at    INTEGER NOT NULL,
	opened_at   INTEGER NOT NULL,
	notified_at INTEGER, -- when notices were first put into the queue
	body        BLOB NOT NULL
) STRICT;

-- One row per affected tenant; without a body as long as it has no contact.
CREATE TABLE art32_incident_notices (
	id              TEXT PRIMARY KEY NOT NULL,
	case_id         TEXT NOT NULL REFERENCES art32_incident_cases (id),
	tenant_id       TEXT NOT NULL,
	number          INTEGER NOT NULL,
	found_at        INTEGER NOT NULL,
	made_at         INTEGER,
	body            BLOB,
	acknowledged_at INTEGER,
	UNIQUE (case_id, tenant_id, number)
) STRICT;

-- One row per notice and channel. A round begins when a dead message is put back.
CREATE TABLE art32_incident_deliveries (
	notice_id    TEXT NOT NULL REFERENCES art32_incident_notices (id),
	channel      TEXT NOT NULL,
	round        INTEGER NOT NULL,
	message_id   TEXT NOT NULL UNIQUE,
	queued_at    INTEGER NOT NULL,
	delivered_at INTEGER,
	dead_at      INTEGER,
	PRIMARY KEY (notice_id, channel)
) STRICT;

CREATE TABLE art32_incident_contacts (
	tenant_id   TEXT PRIMARY KEY NOT NULL,
	body        BLOB NOT NULL,
	verified_at INTEGER NOT NULL
) STRICT;
