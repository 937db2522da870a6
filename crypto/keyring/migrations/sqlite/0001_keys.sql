-- Wrapped keys, in a file of their own. Not part of any backup of the data: a
-- key that was destroyed here must not come back with a copy.
CREATE TABLE art32_keys (
	tenant_id  TEXT    NOT NULL, -- all zero: the platform
	name       TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	state      TEXT    NOT NULL CHECK (state IN ('active', 'retired', 'destroyed', 'erased')),
	wrapped    BLOB,
	uses       INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL, -- milliseconds since 1970
	erased_at  INTEGER,
	PRIMARY KEY (tenant_id, name, version),
	CHECK ((wrapped IS NULL) = (state IN ('destroyed', 'erased'))),
	CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE TRIGGER art32_keys_keep_destroyed BEFORE UPDATE ON art32_keys
WHEN OLD.wrapped IS NULL AND (NEW.wrapped IS NOT NULL
	OR (OLD.tenant_id, OLD.name, OLD.version) IS NOT (NEW.tenant_id, NEW.name, NEW.version))
BEGIN
	SELECT RAISE(ABORT, 'a destroyed key stays destroyed');
END;

CREATE TRIGGER art32_keys_keep_tombstone BEFORE DELETE ON art32_keys
WHEN OLD.wrapped IS NULL
BEGIN
	SELECT RAISE(ABORT, 'a destroyed key stays destroyed');
END;
