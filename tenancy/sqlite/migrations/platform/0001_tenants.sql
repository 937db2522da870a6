-- The tenants, and which of their files were ever made.

CREATE TABLE art32_tenants (
	id         TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
	name       TEXT NOT NULL,
	created_at TEXT NOT NULL, -- RFC 3339, UTC, microseconds
	closed_at  TEXT
) STRICT, WITHOUT ROWID;

-- A row is written when the file of a tenant has its place. From then on a
-- missing file is a loss to be reported, and never made anew.
CREATE TABLE art32_files (
	tenant_id  TEXT NOT NULL PRIMARY KEY REFERENCES art32_tenants (id),
	created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
