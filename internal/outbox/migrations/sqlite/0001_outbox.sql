CREATE TABLE art32_outbox (
	tenant_id    TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	kind         TEXT    NOT NULL,
	payload      BLOB    NOT NULL,
	created_at   TEXT    NOT NULL,
	due_at       TEXT    NOT NULL,
	attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	last_error   TEXT    NOT NULL DEFAULT '',
	delivered_at TEXT,
	dead_at      TEXT CHECK (delivered_at IS NULL OR dead_at IS NULL),
	PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE INDEX art32_outbox_due ON art32_outbox (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;
