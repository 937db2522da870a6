-- A code that the library alone can compute: a row that others have written must
-- not have a key destroyed.
ALTER TABLE art32.tenants ADD COLUMN erasure_code bytea;
ALTER TABLE art32.erased ADD COLUMN code bytea;

DROP FUNCTION art32.erasures(bigint);
CREATE FUNCTION art32.erasures(most bigint) RETURNS TABLE (tenant uuid, subject uuid, code bytea)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$ SELECT e.tenant_id, e.subject, e.code FROM art32.erased e ORDER BY e.n DESC LIMIT most $$;
REVOKE ALL ON FUNCTION art32.erasures(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.erasures(bigint) TO art32_library;
