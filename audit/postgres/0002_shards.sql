-- A log that has ended keeps its row and its last checkpoint, and where its
-- entries were dropped nothing else. docs/formats/audit-log.md says what a
-- succession is.
ALTER TABLE art32.logs
	ADD COLUMN succession text, -- signed by the log before; NULL for the first
	ADD COLUMN ended_at   bigint, -- microseconds since 1970, UTC; NULL: it grows
	ADD COLUMN dropped_at bigint; -- since when its entries are gone

-- What keeps logs from being dropped. Why stands in the log of the tenant.
CREATE TABLE art32.log_holds (
	tenant_id uuid NOT NULL,
	id        uuid NOT NULL,
	set_at    bigint NOT NULL,
	PRIMARY KEY (tenant_id, id)
);

DO $$
DECLARE
	own constant text := '(tenant_id = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid))';
BEGIN
	ALTER TABLE art32.log_holds ENABLE ROW LEVEL SECURITY;
	ALTER TABLE art32.log_holds FORCE ROW LEVEL SECURITY;
	REVOKE ALL ON art32.log_holds FROM PUBLIC;
	GRANT SELECT, INSERT, DELETE ON art32.log_holds TO art32_library;
	EXECUTE format('CREATE POLICY art32_library ON art32.log_holds TO art32_library USING %s WITH CHECK %s', own, own);
	EXECUTE format('CREATE POLICY art32_library_guard ON art32.log_holds AS RESTRICTIVE TO art32_library USING %s WITH CHECK %s', own, own);
END
$$;
