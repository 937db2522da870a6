-- Accesses over tenants, as they were written down before they began.
CREATE TABLE art32_accesses (
	id      TEXT NOT NULL PRIMARY KEY,
	actor   TEXT NOT NULL,
	ticket  TEXT NOT NULL,
	until   TEXT NOT NULL,
	tenants TEXT -- a JSON array of ids; NULL: all
);
