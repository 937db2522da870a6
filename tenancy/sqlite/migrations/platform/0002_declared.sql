-- The tables as the application declared them last, for programs that do not
-- have its structs: what is to be cleared when a data subject is erased, and
-- counted when an incident is told. It holds names of tables and columns.
CREATE TABLE art32_declared (
	one  INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	info TEXT    NOT NULL
) STRICT;
