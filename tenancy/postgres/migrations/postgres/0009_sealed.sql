-- The sealed context is opened and checked by a function each. The view of 0006 was
-- planned with each statement of a caller's, which took several times as long as
-- running it. A function is planned once in a transaction: each expression in it costs.

-- sealed_part gives the n-th part of a valid context, and NULL where none is set; a
-- forged or expired one raises. Nothing of the text is read as a value before its MAC
-- holds.
CREATE FUNCTION art32.sealed_part(n int) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	raw pg_catalog.text := nullif(current_setting('art32.ctx', true), '');
	inner_pad pg_catalog.bytea;
	outer_pad pg_catalog.bytea;
	retires pg_catalog.timestamptz;
BEGIN
	SELECT k.ipad, k.opad, k.retires_at INTO inner_pad, outer_pad, retires
		FROM art32.seal_keys k WHERE k.id::pg_catalog.text = split_part(raw, '.', 1);
	IF (CASE
		WHEN split_part(raw, '.', 7) = '' AND split_part(raw, '.', 6)
			= encode(sha256(outer_pad || sha256(inner_pad || convert_to(left(raw, -65), 'UTF8'))), 'hex')
		THEN split_part(raw, '.', 5)::pg_catalog.int8 > extract(epoch FROM clock_timestamp())
			AND (retires IS NULL OR retires > clock_timestamp())
	END) THEN
		RETURN split_part(raw, '.', n);
	ELSIF raw IS NOT NULL THEN
		RAISE EXCEPTION 'art32: sealed context refused' USING ERRCODE = '42501';
	END IF;
	RETURN NULL;
END
$$;

CREATE OR REPLACE VIEW art32.ctx WITH (security_barrier) AS
SELECT t.part::uuid AS tenant, art32.sealed_part(3) AS actor, art32.sealed_part(4) AS session
FROM art32.sealed_part(2) t(part) WHERE t.part IS NOT NULL;

-- open_context sets the context of a transaction where the tenant exists and is open,
-- and else divides by zero: all that the app role may learn of the table of tenants.
CREATE FUNCTION art32.open_context(token text, tenant uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM set_config('art32.ctx', token, true) FROM art32.tenants t WHERE t.id = tenant AND t.closed_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'art32: no open tenant' USING ERRCODE = 'division_by_zero';
	END IF;
END
$$;

REVOKE ALL ON FUNCTION art32.sealed_part(int), art32.open_context(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.sealed_part(int), art32.open_context(text, uuid) TO art32_app;

DROP FUNCTION art32.open_tenant(uuid);
DROP FUNCTION art32.refuse_context();
