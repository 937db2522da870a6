-- Tenants that were erased. cleared_at says that nothing is left to do. replayed_at
-- is when keys of a tenant's erased people were last found back, in an older copy
-- of the keystore, and destroyed again. The code can be computed by the library
-- alone: a row that others have written must not have a key destroyed.
ALTER TABLE art32.tenants
	ADD COLUMN erased_at    timestamptz,
	ADD COLUMN erasure_code bytea,
	ADD COLUMN cleared_at   timestamptz,
	ADD COLUMN replayed_at  timestamptz;

-- A subject of all zeroes stands for the tenant.
ALTER TABLE art32.erased ADD COLUMN code bytea;

DO $$
BEGIN
	-- The owner of erasures() sees who was erased, of all tenants.
	EXECUTE format('CREATE POLICY art32_erasures ON art32.erased FOR SELECT TO %I USING (true)', current_user);
END
$$;

-- erasures lists the erasures of all tenants, those of one behind each other.
CREATE FUNCTION art32.erasures() RETURNS TABLE (tenant uuid, subject uuid, code bytea)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$ SELECT e.tenant_id, e.subject, e.code FROM art32.erased e ORDER BY e.tenant_id, e.subject $$;
REVOKE ALL ON FUNCTION art32.erasures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.erasures() TO art32_library;
