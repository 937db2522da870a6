-- A key of the seal that has a successor opens until it retires, so that instances
-- have time to read the new one. The view is that of 0001, but for that.
ALTER TABLE art32.seal_keys ADD COLUMN retires_at timestamptz;

CREATE OR REPLACE VIEW art32.ctx WITH (security_barrier) AS
SELECT
	pg_catalog.split_part(c.raw, '.', 2)::uuid AS tenant,
	pg_catalog.split_part(c.raw, '.', 3)       AS actor,
	pg_catalog.split_part(c.raw, '.', 4)       AS session
FROM (SELECT nullif(pg_catalog.current_setting('art32.ctx', true), '') AS raw) c
LEFT JOIN art32.seal_keys k ON k.id::text = pg_catalog.split_part(c.raw, '.', 1)
WHERE c.raw IS NOT NULL
AND CASE
	WHEN k.id IS NOT NULL
		AND (k.retires_at IS NULL OR k.retires_at > pg_catalog.clock_timestamp())
		AND pg_catalog.split_part(c.raw, '.', 6) = pg_catalog.encode(pg_catalog.sha256(k.opad || pg_catalog.sha256(k.ipad
			|| pg_catalog.convert_to(pg_catalog.left(c.raw, pg_catalog.length(c.raw) - 65), 'UTF8'))), 'hex')
		AND pg_catalog.split_part(c.raw, '.', 7) = ''
		AND pg_catalog.split_part(c.raw, '.', 5)::bigint > extract(epoch FROM pg_catalog.clock_timestamp())
	THEN true
	ELSE art32.refuse_context()
END;
