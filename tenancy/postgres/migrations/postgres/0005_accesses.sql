-- Accesses over tenants, as they were written down before they began. The database
-- itself judges by them: the across role reads rows of no tenant without one.
CREATE TABLE art32.accesses (
	id      uuid PRIMARY KEY,
	actor   text NOT NULL,
	ticket  text NOT NULL,
	until   timestamptz NOT NULL,
	tenants uuid[] -- NULL: all
);
REVOKE ALL ON art32.accesses FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON art32.accesses TO art32_library;
GRANT USAGE ON SCHEMA art32 TO art32_across;

-- open_across gives the tenant back if it is open, and the access lasts and names
-- it.
CREATE FUNCTION art32.open_across(tenant uuid, access uuid) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$
	SELECT t.id FROM art32.tenants t CROSS JOIN art32.accesses a
	WHERE t.id = tenant AND t.closed_at IS NULL
	AND a.id = access AND a.until > clock_timestamp() AND (a.tenants IS NULL OR t.id = ANY (a.tenants))
$$;
REVOKE ALL ON FUNCTION art32.open_across(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.open_across(uuid, uuid) TO art32_across;

-- protect_across lets the across role read a table of tenants under an access.
CREATE FUNCTION art32.protect_across(t regclass, tenant_column name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
DECLARE
	opened text := format('%I = (SELECT art32.open_across(nullif(current_setting(''art32.tenant'', true), '''')::uuid,'
		' nullif(current_setting(''art32.access'', true), '''')::uuid))', tenant_column);
	policy text;
BEGIN
	FOREACH policy IN ARRAY ARRAY['art32_across', 'art32_across_guard'] LOOP
		EXECUTE format('DROP POLICY IF EXISTS %I ON %s', policy, t);
	END LOOP;
	EXECUTE format('CREATE POLICY art32_across ON %s FOR SELECT TO art32_across USING (%s)', t, opened);
	EXECUTE format('CREATE POLICY art32_across_guard ON %s AS RESTRICTIVE TO art32_across USING (%s) WITH CHECK (false)', t, opened);
	EXECUTE format('REVOKE ALL ON %s FROM art32_across', t);
	EXECUTE format('GRANT SELECT ON %s TO art32_across', t);
	EXECUTE format('GRANT USAGE ON SCHEMA %s TO art32_across', (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = t));
END
$$;
REVOKE ALL ON FUNCTION art32.protect_across(regclass, name) FROM PUBLIC;

CREATE OR REPLACE FUNCTION art32.protect(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
DECLARE
	plain text := format('%I = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid)', tenant_column);
	claim text := format('%I = (SELECT nullif(split_part(current_setting(''art32.ctx'', true), ''.'', 2), '''')::uuid)', tenant_column);
	sealed text := format('%I = (SELECT tenant FROM art32.ctx)', tenant_column);
	policy text;
BEGIN
	FOREACH policy IN ARRAY ARRAY['art32_library', 'art32_library_guard', 'art32_app', 'art32_app_guard'] LOOP
		EXECUTE format('DROP POLICY IF EXISTS %I ON %s', policy, t);
	END LOOP;
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
	EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
	EXECUTE format('CREATE POLICY art32_library ON %s TO art32_library USING (%s) WITH CHECK (%s)', t, plain, plain);
	EXECUTE format('CREATE POLICY art32_library_guard ON %s AS RESTRICTIVE TO art32_library USING (%s) WITH CHECK (%s)', t, plain, plain);
	EXECUTE format('CREATE POLICY art32_app ON %s TO art32_app USING (%s) WITH CHECK (%s)', t, sealed, claim);
	EXECUTE format('CREATE POLICY art32_app_guard ON %s AS RESTRICTIVE TO art32_app USING (%s) WITH CHECK (%s)', t, sealed, sealed);
	EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, art32_library, art32_app', t);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO art32_library, art32_app', t);
	IF (SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = t) NOT IN ('art32', 'art32_keys') THEN
		PERFORM art32.protect_across(t, tenant_column); -- the library's own are not read over tenants
	END IF;
END
$$;

-- The tables that are protected already.
SELECT art32.protect_across(c.oid, a.attname)
FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	AND starts_with(pg_catalog.pg_get_expr(p.polqual, p.polrelid), '(' || quote_ident(a.attname) || ' = ')
WHERE p.polname = 'art32_library' AND c.relnamespace::regnamespace::text NOT IN ('art32', 'art32_keys');

SELECT art32.protect_across('art32.pattern', 'tenant_id');
REVOKE ALL ON art32.pattern FROM art32_across;
