-- What the database was stamped as. Without a row it counts as production.
CREATE TABLE art32_environment (
	one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	name TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 31)
) STRICT;
