-- A code that the library alone can compute: a row that others have put in must
-- not have a key destroyed.
ALTER TABLE art32_erased ADD COLUMN code BLOB;
