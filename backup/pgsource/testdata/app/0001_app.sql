CREATE TABLE plans (id serial PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO plans (name) VALUES ('seeded, and renamed later'), ('seeded, and deleted later');
CREATE TABLE old_plans (ended date) INHERITS (plans);
CREATE MATERIALIZED VIEW plan_names AS SELECT name FROM plans;

CREATE TABLE customers (
	tenant_id  uuid NOT NULL REFERENCES art32.tenants (id),
	id         uuid NOT NULL,
	email      bytea,
	email_bidx bytea,
	city       text NOT NULL,
	plan       text NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
SELECT art32.protect('customers');

CREATE TABLE tickets (
	title      text NOT NULL,
	shouted    text GENERATED ALWAYS AS (upper(title)) STORED,
	tenant_id  uuid NOT NULL,
	id         uuid NOT NULL,
	customer   uuid NOT NULL,
	parent     uuid,
	no         bigint GENERATED ALWAYS AS IDENTITY (START WITH 100),
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, customer) REFERENCES customers,
	FOREIGN KEY (tenant_id, parent) REFERENCES tickets
);
SELECT art32.protect('tickets');

CREATE TABLE ticket_log (n bigint);
GRANT INSERT ON ticket_log TO art32_library;
CREATE FUNCTION log_ticket() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ticket_log VALUES (NEW.no); RETURN NEW; END $$;
CREATE TRIGGER log_ticket AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION log_ticket();

CREATE SCHEMA billing;
CREATE TABLE billing.invoices (
	id     uuid NOT NULL,
	client uuid NOT NULL REFERENCES art32.tenants (id),
	plan   int REFERENCES plans (id),
	PRIMARY KEY (client, id)
);
SELECT art32.protect('billing.invoices', 'client');

CREATE TABLE measurements (
	tenant_id uuid NOT NULL,
	at        timestamptz NOT NULL,
	value     double precision,
	PRIMARY KEY (tenant_id, at)
) PARTITION BY RANGE (at);
SELECT art32.protect('measurements');
CREATE TABLE measurements_2025 PARTITION OF measurements FOR VALUES FROM ('2025-01-01 00:00Z') TO ('2026-01-01 00:00Z');
SELECT art32.protect('measurements_2025');

CREATE TYPE mood AS ENUM ('sad', 'it''s fine');
CREATE TABLE "Odd ""Table" (
	"tenant-id" uuid NOT NULL,
	n           int NOT NULL,
	"Größe; --" text,
	raw         bytea,
	list        text[],
	doc         jsonb,
	amount      numeric,
	price       money,
	rate        double precision,
	real_rate   real,
	lasts       interval,
	at          timestamptz,
	day         date,
	ok          boolean,
	feeling     mood,
	PRIMARY KEY ("tenant-id", n)
);
SELECT art32.protect('"Odd ""Table"', 'tenant-id');

/* Tests make by hand, beside the migrations: clients, heirs, near, open, part,
two and computed of a, b and x, fast, decoy.pg_class of oid, regionsa regionsb regionsc
regionsd regionse regionsf regionsg of region, "a
b" */
