CREATE TABLE art32_leases (
	name       TEXT    PRIMARY KEY CHECK (name <> ''),
	holder     TEXT    NOT NULL,
	token      INTEGER NOT NULL CHECK (token > 0),
	expires_at INTEGER NOT NULL -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
