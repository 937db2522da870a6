-- Wrapped keys, in a file of their own. Not part of any backup of the data: a
-- key that was destroyed here must not come back with a copy.
--
-- Rows are appended, never deleted, and keep their size for life: SQLite then
-- overwrites a key where it lies. A row that grows, shrinks or goes makes it
-- rebuild pages, and that leaves copies behind that secure_delete does not
-- reach. Hence the numbers for states, one time of change that is always set,
-- and zeroes of equal length in place of a destroyed key.
CREATE TABLE art32_keys (
	id         INTEGER PRIMARY KEY,
	tenant_id  TEXT    NOT NULL, -- all zero: the platform
	name       TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	code       INTEGER NOT NULL CHECK (code BETWEEN 2 AND 5),
	wrapped    BLOB    NOT NULL,
	created_at INTEGER NOT NULL, -- milliseconds since 1970
	changed_at INTEGER NOT NULL, -- of the state
	state TEXT NOT NULL GENERATED ALWAYS AS
		(CASE code WHEN 2 THEN 'active' WHEN 3 THEN 'retired' WHEN 4 THEN 'destroyed' ELSE 'erased' END) VIRTUAL,
	UNIQUE (tenant_id, name, version),
	CHECK ((code >= 4) = (wrapped = zeroblob(length(wrapped))))
) STRICT;

-- Counts change size, so they lie apart.
CREATE TABLE art32_key_uses (
	tenant_id TEXT    NOT NULL,
	name      TEXT    NOT NULL,
	version   INTEGER NOT NULL,
	uses      INTEGER NOT NULL,
	PRIMARY KEY (tenant_id, name, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER art32_keys_keep_place BEFORE UPDATE ON art32_keys
WHEN (OLD.id, OLD.tenant_id, OLD.name, OLD.version, OLD.created_at)
	IS NOT (NEW.id, NEW.tenant_id, NEW.name, NEW.version, NEW.created_at)
BEGIN
	SELECT RAISE(ABORT, 'a key keeps its place');
END;

CREATE TRIGGER art32_keys_keep_destroyed BEFORE UPDATE ON art32_keys
WHEN OLD.code >= 4 AND NEW.code < 4
BEGIN
	SELECT RAISE(ABORT, 'a destroyed key stays destroyed');
END;

CREATE TRIGGER art32_keys_keep_row BEFORE DELETE ON art32_keys
BEGIN
	SELECT RAISE(ABORT, 'a key is destroyed, not deleted');
END;
