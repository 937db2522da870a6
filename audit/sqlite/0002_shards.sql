-- A log that has ended keeps its row and its last checkpoint, and where its
-- entries were dropped nothing else. docs/formats/audit-log.md says what a
-- succession is.
ALTER TABLE art32_logs ADD COLUMN succession TEXT; -- signed by the log before; NULL for the first
ALTER TABLE art32_logs ADD COLUMN ended_at INTEGER; -- microseconds since 1970, UTC; NULL: it grows
ALTER TABLE art32_logs ADD COLUMN dropped_at INTEGER; -- since when its entries are gone

-- What keeps logs from being dropped. Why stands in the log of the tenant.
CREATE TABLE art32_log_holds (
	tenant_id TEXT NOT NULL,
	id        TEXT NOT NULL,
	set_at    INTEGER NOT NULL,
	PRIMARY KEY (tenant_id, id)
) STRICT;
