-- What the database was stamped as. Without a row it counts as production. The
-- owner writes it: no login that the application has can make a staging of it.
CREATE TABLE art32.environment (
	one  integer PRIMARY KEY CHECK (one = 1),
	name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,30}$')
);
REVOKE ALL ON art32.environment FROM PUBLIC;
GRANT SELECT ON art32.environment TO art32_library;
