CREATE TABLE art32.outbox (
	tenant_id    uuid        NOT NULL,
	id           uuid        NOT NULL,
	kind         text        NOT NULL,
	payload      bytea       NOT NULL,
	created_at   timestamptz NOT NULL,
	due_at       timestamptz NOT NULL,
	attempts     integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	last_error   text        NOT NULL DEFAULT '',
	delivered_at timestamptz,
	dead_at      timestamptz CHECK (delivered_at IS NULL OR dead_at IS NULL),
	PRIMARY KEY (tenant_id, id)
);

CREATE INDEX outbox_due ON art32.outbox (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;

ALTER TABLE art32.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE art32.outbox FORCE ROW LEVEL SECURITY;

CREATE POLICY outbox_tenant ON art32.outbox TO art32_library
	USING (tenant_id = (SELECT nullif(current_setting('art32.tenant', true), '')::uuid));

CREATE POLICY outbox_worker_read ON art32.outbox FOR SELECT TO art32_library
	USING ((SELECT current_setting('art32.worker', true)) = 'outbox');

CREATE POLICY outbox_worker_purge ON art32.outbox FOR DELETE TO art32_library
	USING ((SELECT current_setting('art32.worker', true)) = 'outbox' AND delivered_at IS NOT NULL);

GRANT SELECT, INSERT, UPDATE, DELETE ON art32.outbox TO art32_library;
