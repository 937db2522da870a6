-- Tenants that were erased. erased_no numbers them in the order in which they
-- were erased, whatever clocks say; cleared_at says that nothing is left to do.
-- replayed_at is when keys of a tenant's erased people were last found back, in an
-- older copy of the keystore, and destroyed again.
ALTER TABLE art32_tenants ADD COLUMN erased_no INTEGER;
ALTER TABLE art32_tenants ADD COLUMN erased_at TEXT;
ALTER TABLE art32_tenants ADD COLUMN cleared_at TEXT;
ALTER TABLE art32_tenants ADD COLUMN replayed_at TEXT;
