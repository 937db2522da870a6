-- Cases, notices and contacts, in the platform's database. Times are
-- microseconds since 1970, UTC. What people wrote is encrypted: the case under
-- the platform's key, notice and contact under the tenant's.

CREATE TABLE art32_incident_cases (
	id          TEXT PRIMARY KEY NOT NULL,
	aware_at    INTEGER NOT NULL,
	opened_at   INTEGER NOT NULL,
	notified_at INTEGER, -- when somebody first had notices written
	closed_at   INTEGER, -- when somebody closed it with a reason
	body        BLOB NOT NULL
) STRICT;

-- One row per tenant that is affected or may be. Without a body, wants is what
-- is missing: 'count', 'contact', or '' where counting showed that it is not
-- affected after all.
CREATE TABLE art32_incident_notices (
	id              TEXT PRIMARY KEY NOT NULL,
	case_id         TEXT NOT NULL REFERENCES art32_incident_cases (id),
	tenant_id       TEXT NOT NULL,
	number          INTEGER NOT NULL,
	found_at        INTEGER NOT NULL,
	wants           TEXT NOT NULL,
	made_at         INTEGER,
	body            BLOB,
	acknowledged_at INTEGER,
	closed_at       INTEGER,
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
