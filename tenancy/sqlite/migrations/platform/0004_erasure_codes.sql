-- A code that the library alone can compute: a row that others have changed must
-- not have a tenant's keys destroyed.
ALTER TABLE art32_tenants ADD COLUMN erasure_code BLOB;
