-- Tenants, the sealed context, and the protection of tenant tables.

GRANT USAGE ON SCHEMA art32 TO art32_library, art32_app;
GRANT SELECT ON art32.migrations TO art32_library;

CREATE TABLE art32.tenants (
	id         uuid PRIMARY KEY,
	name       text NOT NULL,
	created_at timestamptz NOT NULL,
	closed_at  timestamptz
);
GRANT SELECT, INSERT, UPDATE ON art32.tenants TO art32_library;

-- open_tenant returns one row if the tenant exists and is open: all that the
-- app role may learn of this table.
CREATE FUNCTION art32.open_tenant(tenant uuid) RETURNS SETOF boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog
AS $$ SELECT true FROM art32.tenants WHERE id = tenant AND closed_at IS NULL $$;
REVOKE ALL ON FUNCTION art32.open_tenant(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.open_tenant(uuid) TO art32_app;

-- HMAC-SHA256 (RFC 2104) of the sealed context: the key, already mixed with
-- the inner and the outer pad. The app role cannot read it.
CREATE TABLE art32.seal_keys (
	id         int PRIMARY KEY,
	ipad       bytea NOT NULL CHECK (octet_length(ipad) = 64),
	opad       bytea NOT NULL CHECK (octet_length(opad) = 64),
	created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON art32.seal_keys TO art32_library;

CREATE FUNCTION art32.refuse_context() RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog
AS $$
BEGIN
	RAISE EXCEPTION 'art32: sealed context refused' USING ERRCODE = '42501';
END
$$;

-- One row while the transaction carries a valid context, none while it carries
-- none; a forged or expired one raises. docs/formats/sealed-context.md holds
-- the format: key.tenant.actor.session.expiry.mac
CREATE VIEW art32.ctx WITH (security_barrier) AS
SELECT
	pg_catalog.split_part(c.raw, '.', 2)::uuid AS tenant,
	pg_catalog.split_part(c.raw, '.', 3)       AS actor,
	pg_catalog.split_part(c.raw, '.', 4)       AS session
FROM (SELECT nullif(pg_catalog.current_setting('art32.ctx', true), '') AS raw) c
LEFT JOIN art32.seal_keys k ON k.id::text = pg_catalog.split_part(c.raw, '.', 1)
WHERE c.raw IS NOT NULL
AND CASE
	WHEN k.id IS NOT NULL
		AND pg_catalog.split_part(c.raw, '.', 6) = pg_catalog.encode(pg_catalog.sha256(k.opad || pg_catalog.sha256(k.ipad
			|| pg_catalog.convert_to(pg_catalog.left(c.raw, pg_catalog.length(c.raw) - 65), 'UTF8'))), 'hex')
		AND pg_catalog.split_part(c.raw, '.', 7) = ''
		AND pg_catalog.split_part(c.raw, '.', 5)::bigint > extract(epoch FROM pg_catalog.clock_timestamp())
	THEN true
	ELSE art32.refuse_context()
END;
GRANT SELECT ON art32.ctx TO art32_app;

-- Column defaults of control tables: who acts, as the seal says.
CREATE FUNCTION art32.ctx_actor() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT actor FROM art32.ctx $$;
CREATE FUNCTION art32.ctx_session() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT session FROM art32.ctx $$;
REVOKE ALL ON FUNCTION art32.ctx_actor(), art32.ctx_session(), art32.refuse_context() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.ctx_actor(), art32.ctx_session(), art32.refuse_context() TO art32_app, art32_library;

-- protect puts a table under the tenant's isolation. A migration calls it once
-- per table: SELECT art32.protect('customers');
CREATE FUNCTION art32.protect(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
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
END
$$;
REVOKE ALL ON FUNCTION art32.protect(regclass, name) FROM PUBLIC;

-- What protect makes of a table, for Open to compare the policies of others
-- with. It stays empty and out of reach.
CREATE TABLE art32.pattern (tenant_id uuid NOT NULL);
SELECT art32.protect('art32.pattern');
REVOKE ALL ON art32.pattern FROM art32_library, art32_app;
