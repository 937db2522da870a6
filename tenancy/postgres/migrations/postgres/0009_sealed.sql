-- The sealed context is opened and checked by a function each. The view of 0006 was
-- planned with each statement of a caller's, which took several times as long as
-- running it; a function is planned once in a transaction, in as few expressions as
-- can be.

-- sealed gives what a valid context says, and NULL where none is set; a forged or
-- expired one raises. Nothing of the text is read as a value before its MAC holds.
CREATE FUNCTION art32.sealed(OUT tenant uuid, OUT actor text, OUT session text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	SELECT split_part(c.raw, '.', 2)::pg_catalog.uuid, split_part(c.raw, '.', 3), split_part(c.raw, '.', 4)
		INTO tenant, actor, session
		FROM (SELECT nullif(current_setting('art32.ctx', true), '')) c(raw)
		JOIN art32.seal_keys k ON k.id::pg_catalog.text = split_part(c.raw, '.', 1)
		WHERE CASE
			WHEN split_part(c.raw, '.', 7) = '' AND split_part(c.raw, '.', 6) = encode(sha256(k.opad || sha256(k.ipad
				|| convert_to(left(c.raw, -65), 'UTF8'))), 'hex')
			THEN (k.retires_at IS NULL OR k.retires_at > clock_timestamp())
				AND split_part(c.raw, '.', 5)::pg_catalog.int8 > extract(epoch FROM clock_timestamp())
		END;
	IF tenant IS NULL AND nullif(current_setting('art32.ctx', true), '') IS NOT NULL THEN
		RAISE EXCEPTION 'art32: sealed context refused' USING ERRCODE = '42501';
	END IF;
END
$$;

CREATE OR REPLACE VIEW art32.ctx WITH (security_barrier) AS
SELECT s.tenant, s.actor, s.session FROM art32.sealed() s WHERE s.tenant IS NOT NULL;

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

REVOKE ALL ON FUNCTION art32.sealed(), art32.open_context(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.sealed(), art32.open_context(text, uuid) TO art32_app;

DROP FUNCTION art32.open_tenant(uuid);
DROP FUNCTION art32.refuse_context();
