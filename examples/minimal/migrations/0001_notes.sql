CREATE TABLE notes (
	tenant_id TEXT NOT NULL,
	id        TEXT NOT NULL PRIMARY KEY,
	author_id TEXT NOT NULL,
	text      BLOB,
	pinned    INTEGER NOT NULL
);
