-- Tenants that were erased. cleared_at says that nothing is left to do. replayed_at
-- is when keys of a tenant's erased people were last found back, in an older copy
-- of the keystore, and destroyed again. The code can be computed by the library
-- alone: a row that others have changed must not have a tenant's keys destroyed.
ALTER TABLE art32_tenants ADD COLUMN erased_at TEXT;
ALTER TABLE art32_tenants ADD COLUMN erasure_code BLOB;
ALTER TABLE art32_tenants ADD COLUMN cleared_at TEXT;
ALTER TABLE art32_tenants ADD COLUMN replayed_at TEXT;
