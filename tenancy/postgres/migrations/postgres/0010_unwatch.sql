-- The end of a watch takes back what the older login was given in this schema, and a
-- table that is protected is watched no longer.
CREATE OR REPLACE FUNCTION art32.unwatch(t regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	login pg_catalog.pg_roles;
	logins pg_catalog.oid[] := (SELECT p.polroles FROM pg_catalog.pg_policy p WHERE p.polrelid = t AND p.polname = 'art32_unsafe_watch');
BEGIN
	EXECUTE format('DROP POLICY IF EXISTS art32_unsafe_watch ON %s', t);
	FOR login IN SELECT r.* FROM pg_catalog.pg_roles r WHERE r.oid = ANY (logins)
		AND r.oid <> (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'art32')
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polname = 'art32_unsafe_watch' AND r.oid = ANY (p.polroles))
	LOOP
		EXECUTE format('REVOKE EXECUTE ON FUNCTION art32.unsafe_watched(uuid, oid, boolean), art32.statement_shape(text) FROM %I', login.rolname);
		EXECUTE format('REVOKE USAGE ON SCHEMA art32 FROM %I', login.rolname);
	END LOOP;
END
$$;

-- protect is that of 0005, but for the watch.
CREATE OR REPLACE FUNCTION art32.protect(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plain pg_catalog.text := format('%I = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid)', tenant_column);
	claim pg_catalog.text := format('%I = (SELECT nullif(split_part(current_setting(''art32.ctx'', true), ''.'', 2), '''')::uuid)', tenant_column);
	sealed pg_catalog.text := format('%I = (SELECT tenant FROM art32.ctx)', tenant_column);
	policy pg_catalog.text;
BEGIN
	PERFORM art32.unwatch(t);
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
	IF (SELECT c.relnamespace::regnamespace::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.oid = t) NOT IN ('art32', 'art32_keys') THEN
		PERFORM art32.protect_across(t, tenant_column); -- the library's own are not read over tenants
	END IF;
END
$$;
