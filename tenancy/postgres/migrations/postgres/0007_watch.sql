-- Report only: a table that the login of an older application still reads and
-- writes for all tenants, and that tells what its protection would refuse or hide.

-- statement_shape is a statement without the values that are written into it: NULL
-- where one cannot be sure to have found them all.
CREATE FUNCTION art32.statement_shape(statement text) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog
AS $$
	SELECT CASE WHEN rest ~ '[''\\]|--|/\*|\$([^0-9]|$)' THEN NULL ELSE left(regexp_replace(regexp_replace(replace(rest, '?"', '"'),
		'(^|[^[:alnum:]_$."])\.?[0-9][[:alnum:]_.]*', '\1?', 'g'), '\s+', ' ', 'g'), 1000) END
	FROM (SELECT regexp_replace(statement, '''(?:[^''\\]|'''')*''|("(?:[^"]|"")*")', '?\1', 'g')) s(rest)
$$;

-- unsafe_watched stands in the policy of the older login. It is always true. It
-- warns, once in a statement for each table, of rows that belong to another tenant
-- than the one that the setting art32.tenant claims; without a claim, of rows of
-- several tenants. The names of this statement and of the tenant it began with stand
-- in a setting of the transaction.
CREATE FUNCTION art32.unsafe_watched(tenant uuid, t oid, writes boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog
AS $$
DECLARE
	now text := extract(epoch FROM statement_timestamp())::text;
	seen text[] := string_to_array(current_setting('art32.watch', true), ' ');
	claim text;
	place text;
	whose text;
BEGIN
	IF seen[1] IS DISTINCT FROM now OR seen[3] IS NULL THEN
		claim := lower(current_setting('art32.tenant', true));
		claim := CASE WHEN claim ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN claim END;
		seen := ARRAY[now, CASE WHEN claim IS NULL THEN 'none' ELSE 'claimed' END, coalesce(claim, tenant::text, '')];
		PERFORM set_config('art32.watch', array_to_string(seen, ' '), true);
	ELSIF seen[3] = '' AND tenant IS NOT NULL THEN
		seen[3] := tenant::text;
		PERFORM set_config('art32.watch', array_to_string(seen, ' '), true);
	END IF;
	IF tenant::text = seen[3] THEN
		RETURN true;
	END IF;
	place := t::text || CASE WHEN writes THEN 'w' ELSE 'r' END;
	IF place = ANY (seen[4:]) THEN
		RETURN true;
	END IF;
	PERFORM set_config('art32.watch', array_to_string(seen || place, ' '), true);
	whose := CASE WHEN tenant IS NULL THEN 'without a tenant' WHEN seen[2] = 'claimed' THEN 'of another tenant' ELSE 'of several tenants' END;
	RAISE WARNING 'art32: report only: a statement % rows % in table %, which protection would %',
		CASE WHEN writes THEN 'writes' ELSE 'reads' END, whose, t::regclass, CASE WHEN writes THEN 'refuse' ELSE 'hide' END
		USING ERRCODE = 'Z3201', TABLE = t::regclass::text, DETAIL = coalesce(art32.statement_shape(current_query()), 'no statement is shown: values may stand in it');
	RETURN true;
END
$$;

-- unsafe_watch puts a table under protection for the logins of the library, and
-- leaves it open, and watched, to the login of an older application:
-- SELECT art32.unsafe_watch('customers', 'shop');
CREATE FUNCTION art32.unsafe_watch(t regclass, login name, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
DECLARE
	role pg_roles;
BEGIN
	SELECT * INTO role FROM pg_roles WHERE rolname = login;
	CASE
	WHEN role.oid IS NULL THEN -- on another server, as after a restore: the table is closed to all but the library's
		RAISE WARNING 'art32: no role is called %: table % is protected, and watched for nobody', login, t;
		PERFORM art32.protect(t, tenant_column);
		RETURN;
	WHEN role.rolsuper OR role.rolbypassrls THEN
		RAISE EXCEPTION 'art32: role % steps over row-level security: nothing of what it does would be seen', login;
	WHEN EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN ('art32_library', 'art32_app', 'art32_across') AND pg_has_role(role.oid, g.oid, 'MEMBER')) THEN
		RAISE EXCEPTION 'art32: role % is a login of the library, which is never let past the policies', login;
	WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t AND p.polname NOT LIKE 'art32\_%') THEN
		RAISE EXCEPTION 'art32: table % has policies of its own, and would be opened where they close it', t;
	ELSE
	END CASE;
	PERFORM art32.protect(t, tenant_column);
	EXECUTE format('DROP POLICY IF EXISTS art32_unsafe_watch ON %s', t);
	EXECUTE format('CREATE POLICY art32_unsafe_watch ON %s TO %I USING (art32.unsafe_watched(%I, %L::regclass, false)) WITH CHECK (art32.unsafe_watched(%I, %L::regclass, true))',
		t, login, tenant_column, t, tenant_column, t);
	EXECUTE format('GRANT USAGE ON SCHEMA art32 TO %I', login);
	EXECUTE format('GRANT EXECUTE ON FUNCTION art32.unsafe_watched(uuid, oid, boolean), art32.statement_shape(text) TO %I', login);
	RAISE WARNING 'art32: role % reads and writes the rows of all tenants in table %, until art32.unwatch ends it', login, t;
END
$$;

-- unwatch ends what unsafe_watch began: the older login meets no row any more.
CREATE FUNCTION art32.unwatch(t regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog
AS $$
BEGIN
	EXECUTE format('DROP POLICY IF EXISTS art32_unsafe_watch ON %s', t);
END
$$;
REVOKE ALL ON FUNCTION art32.statement_shape(text), art32.unsafe_watched(uuid, oid, boolean),
	art32.unsafe_watch(regclass, name, name), art32.unwatch(regclass) FROM PUBLIC;
