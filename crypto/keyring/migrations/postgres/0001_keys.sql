-- Wrapped keys. Not part of any backup of the data: a key that was destroyed
-- here must not come back with a dump.
CREATE SCHEMA art32_keys;
REVOKE ALL ON SCHEMA art32_keys FROM PUBLIC;
GRANT USAGE ON SCHEMA art32_keys TO art32_library;

CREATE TABLE art32_keys.keys (
	tenant_id  uuid    NOT NULL, -- all zero: the platform
	name       text    NOT NULL,
	version    integer NOT NULL CHECK (version > 0),
	state      text    NOT NULL CHECK (state IN ('active', 'retired', 'destroyed', 'erased')),
	wrapped    bytea,
	uses       bigint  NOT NULL DEFAULT 0,
	created_at bigint  NOT NULL, -- milliseconds since 1970
	erased_at  bigint,
	PRIMARY KEY (tenant_id, name, version),
	CHECK ((wrapped IS NULL) = (state IN ('destroyed', 'erased'))),
	CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);
REVOKE ALL ON art32_keys.keys FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON art32_keys.keys TO art32_library;

CREATE FUNCTION art32_keys.keep_destroyed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE EXCEPTION 'a destroyed key stays destroyed';
END $$;
REVOKE ALL ON FUNCTION art32_keys.keep_destroyed() FROM PUBLIC;

CREATE TRIGGER keep_destroyed BEFORE UPDATE ON art32_keys.keys
FOR EACH ROW WHEN (OLD.wrapped IS NULL AND (NEW.wrapped IS NOT NULL
	OR (OLD.tenant_id, OLD.name, OLD.version) IS DISTINCT FROM (NEW.tenant_id, NEW.name, NEW.version)))
EXECUTE FUNCTION art32_keys.keep_destroyed();
