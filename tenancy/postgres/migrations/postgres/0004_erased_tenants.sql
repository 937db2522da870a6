-- Tenants that were erased. erased_no numbers them in the order in which they
-- were erased, whatever clocks say; cleared_at says that nothing is left to do.
-- replayed_at is when keys of a tenant's erased people were last found back, in an
-- older copy of the keystore, and destroyed again.
ALTER TABLE art32.tenants
	ADD COLUMN erased_no   bigint,
	ADD COLUMN erased_at   timestamptz,
	ADD COLUMN cleared_at  timestamptz,
	ADD COLUMN replayed_at timestamptz;

-- The order of the erasures: while the keystore still has a key for the newest,
-- it is older than the data. A subject of all zeroes stands for the tenant.
ALTER TABLE art32.erased ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX erased_n ON art32.erased (n);

DO $$
BEGIN
	-- The owner of erasures() sees who was erased, of all tenants.
	EXECUTE format('CREATE POLICY art32_erasures ON art32.erased FOR SELECT TO %I USING (true)', current_user);
END
$$;

-- erasures lists the newest erasures of all tenants, at most so many; NULL: all.
CREATE FUNCTION art32.erasures(most bigint) RETURNS TABLE (tenant uuid, subject uuid)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$ SELECT e.tenant_id, e.subject FROM art32.erased e ORDER BY e.n DESC LIMIT most $$;
REVOKE ALL ON FUNCTION art32.erasures(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.erasures(bigint) TO art32_library;
