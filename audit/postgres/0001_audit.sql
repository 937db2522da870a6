-- The audit log: events, the parts of their payloads, and the Merkle trees over
-- them. docs/formats/audit-leaf.md and audit-log.md say what the columns hold.

-- One event. All but seq and leaf goes into the leaf of the tree. Where callers'
-- text is under way, actor and session come from the sealed context alone.
CREATE TABLE art32.events (
	seq       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id        uuid NOT NULL,
	tenant_id uuid NOT NULL,
	at        bigint NOT NULL, -- microseconds since 1970, UTC
	writer    uuid NOT NULL,
	counter   bigint NOT NULL,
	actor     text NOT NULL DEFAULT art32.ctx_actor(),
	session   text NOT NULL DEFAULT art32.ctx_session(),
	action    text NOT NULL,
	object    uuid,
	outcome   smallint NOT NULL CHECK (outcome IN (1, 2)),
	digests   bytea NOT NULL CHECK (octet_length(digests) % 32 = 0),
	mac       bytea NOT NULL CHECK (octet_length(mac) = 32),
	leaf      bigint -- NULL: not sealed yet; -1: never, for its MAC is wrong
);
CREATE UNIQUE INDEX events_id ON art32.events (tenant_id, id);
CREATE UNIQUE INDEX events_leaf ON art32.events (tenant_id, leaf) WHERE leaf >= 0;
CREATE INDEX events_pending ON art32.events (tenant_id, seq) WHERE leaf IS NULL;
CREATE INDEX events_rejected ON art32.events (tenant_id, seq) WHERE leaf < 0;
CREATE INDEX events_object ON art32.events (tenant_id, object, seq) WHERE object IS NOT NULL;

-- What an event tells about people: ciphertexts, one part per person. Both
-- columns become NULL when the person is erased.
CREATE TABLE art32.event_parts (
	tenant_id  uuid NOT NULL,
	event_id   uuid NOT NULL,
	part       smallint NOT NULL,
	subject    uuid,
	ciphertext bytea,
	PRIMARY KEY (tenant_id, event_id, part)
);
CREATE INDEX event_parts_subject ON art32.event_parts (tenant_id, subject) WHERE subject IS NOT NULL;

-- A tenant's log; the platform's has the tenant of all zeroes.
CREATE TABLE art32.logs (
	id         uuid PRIMARY KEY,
	tenant_id  uuid NOT NULL,
	shard      bigint NOT NULL, -- a tenant's logs follow each other
	base       bigint NOT NULL, -- events.leaf of the first leaf
	origin     text NOT NULL,
	vkey       text NOT NULL,
	size       bigint NOT NULL,
	root       bytea NOT NULL CHECK (octet_length(root) = 32),
	created_at bigint NOT NULL,
	UNIQUE (tenant_id, shard)
);

CREATE TABLE art32.tiles (
	tenant_id uuid NOT NULL,
	log_id    uuid NOT NULL REFERENCES art32.logs (id),
	level     smallint NOT NULL,
	n         bigint NOT NULL,
	data      bytea NOT NULL, -- 32 bytes for each hash, at most 256
	PRIMARY KEY (log_id, level, n)
);

CREATE TABLE art32.checkpoints (
	tenant_id  uuid NOT NULL,
	log_id     uuid NOT NULL REFERENCES art32.logs (id),
	size       bigint NOT NULL,
	note       text NOT NULL,
	created_at bigint NOT NULL,
	PRIMARY KEY (log_id, size)
);

DO $$
DECLARE
	t text;
	own constant text := '(tenant_id = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid))';
	sealed constant text := '(tenant_id = (SELECT tenant FROM art32.ctx))';
BEGIN
	FOREACH t IN ARRAY ARRAY['events', 'event_parts', 'logs', 'tiles', 'checkpoints'] LOOP
		EXECUTE format('ALTER TABLE art32.%I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('ALTER TABLE art32.%I FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('REVOKE ALL ON art32.%I FROM PUBLIC', t);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON art32.%I TO art32_library', t);
		EXECUTE format('CREATE POLICY art32_library ON art32.%I TO art32_library USING %s WITH CHECK %s', t, own, own);
		EXECUTE format('CREATE POLICY art32_library_guard ON art32.%I AS RESTRICTIVE TO art32_library USING %s WITH CHECK %s', t, own, own);
	END LOOP;
	FOREACH t IN ARRAY ARRAY['events', 'event_parts'] LOOP
		EXECUTE format('CREATE POLICY art32_app ON art32.%I FOR INSERT TO art32_app WITH CHECK %s', t, sealed);
		EXECUTE format('CREATE POLICY art32_app_guard ON art32.%I AS RESTRICTIVE TO art32_app USING (false) WITH CHECK %s', t, sealed);
	END LOOP;
	-- The owner of unsealed() sees what no one has sealed, and nothing else.
	EXECUTE format('CREATE POLICY art32_unsealed ON art32.events FOR SELECT TO %I USING (leaf IS NULL)', current_user);
END
$$;

-- Callers' text may add events of its own tenant, without saying who acts.
GRANT INSERT (id, tenant_id, at, writer, counter, action, object, outcome, digests, mac) ON art32.events TO art32_app;
GRANT INSERT (tenant_id, event_id, part, subject, ciphertext) ON art32.event_parts TO art32_app;

-- The tenants whose logs have something to seal, so that a sealer need not ask
-- each tenant in turn. It hops from tenant to tenant over the index.
CREATE FUNCTION art32.unsealed() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
	WITH RECURSIVE t AS (
		(SELECT tenant_id FROM art32.events WHERE leaf IS NULL ORDER BY tenant_id LIMIT 1)
		UNION ALL
		SELECT (SELECT e.tenant_id FROM art32.events e
			WHERE e.leaf IS NULL AND e.tenant_id > t.tenant_id ORDER BY e.tenant_id LIMIT 1)
		FROM t WHERE t.tenant_id IS NOT NULL
	)
	SELECT tenant_id FROM t WHERE tenant_id IS NOT NULL
$$;
REVOKE ALL ON FUNCTION art32.unsealed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.unsealed() TO art32_library;
