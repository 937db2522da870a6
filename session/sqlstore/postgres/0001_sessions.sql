-- Sessions. A request's session is found by the hash of its token before its
-- tenant is known: no row security, and rights for the library's login alone.
-- Times are microseconds since 1970, UTC. What is updated with each use,
-- last_seen, stands in no index, and pages keep room for its next version.

CREATE TABLE art32.sessions (
	id               uuid PRIMARY KEY,
	hash             bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32), -- SHA-256 of the token
	tenant_id        uuid NOT NULL,
	user_id          uuid NOT NULL,
	created_at       bigint NOT NULL,
	last_seen        bigint NOT NULL,
	authenticated_at bigint NOT NULL,
	revoked_at       bigint, -- NULL: not revoked
	reason           text NOT NULL DEFAULT '' CHECK ((revoked_at IS NULL) = (reason = ''))
) WITH (fillfactor = 80);
CREATE INDEX sessions_owner ON art32.sessions (tenant_id, user_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_created ON art32.sessions (created_at);

REVOKE ALL ON art32.sessions FROM PUBLIC;
GRANT SELECT, INSERT, DELETE ON art32.sessions TO art32_library;
-- Whose a session is, and since when, never changes.
GRANT UPDATE (hash, last_seen, authenticated_at, revoked_at, reason) ON art32.sessions TO art32_library;
