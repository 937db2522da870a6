-- Whose file this is, and which set of migrations it was last brought to.

CREATE TABLE art32_home (
	one       INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	tenant_id TEXT    NOT NULL CHECK (length(tenant_id) = 36),
	lines     TEXT    NOT NULL
) STRICT;
