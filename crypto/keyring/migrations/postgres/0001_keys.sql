-- Wrapped keys. Not part of any backup of the data: a key that was destroyed
-- here must not come back with a dump.
CREATE SCHEMA art32_keys;
REVOKE ALL ON SCHEMA art32_keys FROM PUBLIC;
GRANT USAGE ON SCHEMA art32_keys TO art32_library;

CREATE TABLE art32_keys.keys (
	tenant_id  uuid    NOT NULL, -- all zero: the platform
	name       text    COLLATE "C" NOT NULL, -- in the order of bytes: no new version of a locale changes it
	version    integer NOT NULL CHECK (version > 0),
	state      text    NOT NULL CHECK (state IN ('active', 'retired', 'destroyed', 'erased')),
	wrapped    bytea,
	created_at bigint  NOT NULL, -- milliseconds since 1970
	changed_at bigint  NOT NULL, -- of the state
	PRIMARY KEY (tenant_id, name, version),
	CHECK ((wrapped IS NULL) = (state IN ('destroyed', 'erased')))
);
REVOKE ALL ON art32_keys.keys FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON art32_keys.keys TO art32_library;

-- Counts change often, and each change would leave a copy of the key.
CREATE TABLE art32_keys.uses (
	tenant_id uuid    NOT NULL,
	name      text    COLLATE "C" NOT NULL,
	version   integer NOT NULL,
	uses      bigint  NOT NULL,
	PRIMARY KEY (tenant_id, name, version)
);
REVOKE ALL ON art32_keys.uses FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON art32_keys.uses TO art32_library;

CREATE FUNCTION art32_keys.keep_destroyed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE EXCEPTION 'a destroyed key stays destroyed, and a key keeps its place';
END $$;
REVOKE ALL ON FUNCTION art32_keys.keep_destroyed() FROM PUBLIC;

CREATE TRIGGER keep_destroyed BEFORE UPDATE ON art32_keys.keys
FOR EACH ROW WHEN ((OLD.wrapped IS NULL AND NEW.wrapped IS NOT NULL)
	OR (OLD.tenant_id, OLD.name, OLD.version) IS DISTINCT FROM (NEW.tenant_id, NEW.name, NEW.version))
EXECUTE FUNCTION art32_keys.keep_destroyed();
