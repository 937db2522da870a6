-- The sealed context is opened and checked by functions whose plans a session keeps.
-- The view of 0006 was planned anew with each statement of a caller's, which took
-- several times as long as running it.

-- sealed gives what a valid context says, and NULL where none is set; a forged or
-- expired one raises. Nothing of the text is read as a value before its MAC holds.
CREATE FUNCTION art32.sealed(OUT tenant uuid, OUT actor text, OUT session text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	raw pg_catalog.text := nullif(current_setting('art32.ctx', true), '');
	inner_pad pg_catalog.bytea;
	outer_pad pg_catalog.bytea;
BEGIN
	IF raw IS NULL THEN
		RETURN;
	END IF;
	SELECT k.ipad, k.opad INTO inner_pad, outer_pad FROM art32.seal_keys k
		WHERE k.id::pg_catalog.text = split_part(raw, '.', 1) AND (k.retires_at IS NULL OR k.retires_at > clock_timestamp());
	IF FOUND AND split_part(raw, '.', 7) = '' AND split_part(raw, '.', 6) = encode(sha256(outer_pad || sha256(inner_pad
			|| convert_to(left(raw, -65), 'UTF8'))), 'hex') THEN
		IF split_part(raw, '.', 5)::pg_catalog.int8 > extract(epoch FROM clock_timestamp()) THEN
			tenant := split_part(raw, '.', 2)::pg_catalog.uuid;
			actor := split_part(raw, '.', 3);
			session := split_part(raw, '.', 4);
			RETURN;
		END IF;
	END IF;
	RAISE EXCEPTION 'art32: sealed context refused' USING ERRCODE = '42501';
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
	PERFORM 1 FROM art32.tenants t WHERE t.id = tenant AND t.closed_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'art32: no open tenant' USING ERRCODE = 'division_by_zero';
	END IF;
	PERFORM set_config('art32.ctx', token, true);
END
$$;

REVOKE ALL ON FUNCTION art32.sealed(), art32.open_context(text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.sealed(), art32.open_context(text, uuid) TO art32_app;

DROP FUNCTION art32.open_tenant(uuid);
DROP FUNCTION art32.refuse_context();
