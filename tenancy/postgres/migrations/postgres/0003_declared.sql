-- The tables as the application declared them last, for programs that do not
-- have its structs: what is to be cleared when a data subject is erased, and
-- counted when an incident is told. It holds names of tables and columns.
CREATE TABLE art32.declared (
	one  integer PRIMARY KEY CHECK (one = 1),
	info text NOT NULL
);
REVOKE ALL ON art32.declared FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON art32.declared TO art32_library;
