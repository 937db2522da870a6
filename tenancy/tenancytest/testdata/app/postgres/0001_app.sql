CREATE TABLE customers (
	tenant_id uuid NOT NULL, id uuid NOT NULL, email bytea, email_bidx bytea, balance bytea,
	city text NOT NULL, born timestamptz, plan text NOT NULL,
	PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email_bidx)
);
SELECT art32.protect('customers');

CREATE SCHEMA desk;
GRANT USAGE ON SCHEMA desk TO art32_library, art32_app;
CREATE TABLE desk.tickets (
	tenant_id uuid NOT NULL, id uuid NOT NULL, customer_id uuid NOT NULL, text bytea, file bytea, closed boolean NOT NULL,
	PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
SELECT art32.protect('desk.tickets');

CREATE TABLE settings (
	tenant_id uuid NOT NULL, id uuid NOT NULL, word text NOT NULL, secret bytea, PRIMARY KEY (tenant_id, id)
);
SELECT art32.protect('settings');

CREATE TABLE lines (
	tenant_id uuid NOT NULL, customer_id uuid NOT NULL, kind text NOT NULL, position int NOT NULL,
	text bytea, text_bidx bytea, note text NOT NULL, amount bigint NOT NULL,
	PRIMARY KEY (tenant_id, customer_id, kind, position), FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
SELECT art32.protect('lines');

CREATE TABLE limits (tenant_id uuid NOT NULL, name text NOT NULL, value bigint NOT NULL, secret bytea, PRIMARY KEY (tenant_id, name));
SELECT art32.protect('limits');

CREATE TABLE counters (tenant_id uuid NOT NULL, id bigint NOT NULL, value bytea, PRIMARY KEY (tenant_id, id));
SELECT art32.protect('counters');
