CREATE TABLE art32.leases (
	name       text        PRIMARY KEY CHECK (name <> ''),
	holder     text        NOT NULL,
	token      bigint      NOT NULL CHECK (token > 0),
	expires_at timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON art32.leases TO art32_library;
