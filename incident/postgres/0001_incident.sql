-- Cases, notices and contacts, of the platform. Times are microseconds since
-- 1970, UTC. What people wrote is encrypted: the case under the platform's key,
-- notice and contact under the tenant's.

CREATE TABLE art32.incident_cases (
	id          uuid PRIMARY KEY,
	aware_at    bigint NOT NULL,
	opened_at   bigint NOT NULL,
	notified_at bigint, -- when somebody first had notices written
	closed_at   bigint, -- when somebody closed it with a reason
	body        bytea NOT NULL
);

-- One row per tenant that is affected or may be. Without a body, wants is what
-- is missing: 'count', 'contact', or '' where counting showed that it is not
-- affected after all.
CREATE TABLE art32.incident_notices (
	id              uuid PRIMARY KEY,
	case_id         uuid NOT NULL REFERENCES art32.incident_cases (id),
	tenant_id       uuid NOT NULL,
	number          bigint NOT NULL,
	found_at        bigint NOT NULL,
	wants           text NOT NULL,
	made_at         bigint,
	body            bytea,
	acknowledged_at bigint,
	closed_at       bigint,
	UNIQUE (case_id, tenant_id, number)
);

-- One row per notice and channel. A round begins when a dead message is put back.
CREATE TABLE art32.incident_deliveries (
	notice_id    uuid NOT NULL REFERENCES art32.incident_notices (id),
	channel      text NOT NULL,
	round        bigint NOT NULL,
	message_id   uuid NOT NULL UNIQUE,
	queued_at    bigint NOT NULL,
	delivered_at bigint,
	dead_at      bigint,
	PRIMARY KEY (notice_id, channel)
);

CREATE TABLE art32.incident_contacts (
	tenant_id   uuid PRIMARY KEY,
	body        bytea NOT NULL,
	verified_at bigint NOT NULL
);

-- Transactions of the platform see the rows, those of tenants none.
DO $$
DECLARE
	t text;
	platform constant text := '((SELECT current_setting(''art32.tenant'', true)) = ''00000000-0000-0000-0000-000000000000'')';
BEGIN
	FOREACH t IN ARRAY ARRAY['incident_cases', 'incident_notices', 'incident_deliveries', 'incident_contacts'] LOOP
		EXECUTE format('ALTER TABLE art32.%I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('ALTER TABLE art32.%I FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('REVOKE ALL ON art32.%I FROM PUBLIC', t);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE ON art32.%I TO art32_library', t);
		EXECUTE format('CREATE POLICY art32_library ON art32.%I TO art32_library USING %s WITH CHECK %s', t, platform, platform);
	END LOOP;
END
$$;
