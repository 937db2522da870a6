-- What leaves the house: signatures of witnesses beside checkpoints, when a place
-- that wants heads seldom last got one, and how far each feed has come.

-- A line of a witness (c2sp.org/tlog-cosignature) for the checkpoint of a size.
CREATE TABLE art32.cosignatures (
	tenant_id  uuid NOT NULL,
	log_id     uuid NOT NULL REFERENCES art32.logs (id),
	size       bigint NOT NULL,
	line       text NOT NULL, -- of a signed note, without its end
	created_at bigint NOT NULL, -- microseconds since 1970, UTC
	PRIMARY KEY (log_id, size, line)
);

CREATE TABLE art32.publications (
	tenant_id uuid NOT NULL,
	log_id    uuid NOT NULL REFERENCES art32.logs (id),
	place     text NOT NULL,
	size      bigint NOT NULL,
	at        bigint NOT NULL, -- microseconds since 1970, UTC
	PRIMARY KEY (log_id, place)
);

CREATE TABLE art32.feeds (
	tenant_id uuid NOT NULL,
	name      text NOT NULL,
	next      bigint NOT NULL, -- events.leaf of the first that the sink has not taken
	PRIMARY KEY (tenant_id, name)
);

DO $$
DECLARE
	t text;
	own constant text := '(tenant_id = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid))';
BEGIN
	FOREACH t IN ARRAY ARRAY['cosignatures', 'publications', 'feeds'] LOOP
		EXECUTE format('ALTER TABLE art32.%I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('ALTER TABLE art32.%I FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('REVOKE ALL ON art32.%I FROM PUBLIC', t);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON art32.%I TO art32_library', t);
		EXECUTE format('CREATE POLICY art32_library ON art32.%I TO art32_library USING %s WITH CHECK %s', t, own, own);
		EXECUTE format('CREATE POLICY art32_library_guard ON art32.%I AS RESTRICTIVE TO art32_library USING %s WITH CHECK %s', t, own, own);
	END LOOP;
END
$$;
