-- Sessions, in the platform's file: a request's session is found by the hash of
-- its token before its tenant is known. Times are microseconds since 1970, UTC.
-- What is updated with each use, last_seen, stands in no index.

CREATE TABLE art32_sessions (
	id               TEXT PRIMARY KEY NOT NULL,
	hash             BLOB NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the token
	tenant_id        TEXT NOT NULL,
	user_id          TEXT NOT NULL,
	created_at       INTEGER NOT NULL,
	last_seen        INTEGER NOT NULL,
	authenticated_at INTEGER NOT NULL,
	revoked_at       INTEGER, -- NULL: not revoked
	reason           TEXT NOT NULL DEFAULT '' CHECK ((revoked_at IS NULL) = (reason = ''))
) STRICT;
CREATE INDEX art32_sessions_owner ON art32_sessions (tenant_id, user_id) WHERE revoked_at IS NULL;
CREATE INDEX art32_sessions_created ON art32_sessions (created_at);
