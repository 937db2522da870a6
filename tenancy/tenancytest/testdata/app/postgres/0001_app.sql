CREATE TABLE customers (
	tenant_id uuid NOT NULL, id uuid NOT NULL, email bytea, email_bidx bytea, balance bytea,
	city text NOT NULL, born timestamptz, plan text NOT NULL,
	PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email_bidx)
);
SELECT art32.protect('customers');

CREATE SCHEMA desk;
GRANT USAGE ON SCHEMA desk TO art32_library, art32_app;
CREATE TABLE desk.tickets (
	tenant_id uuid NOT NULL, id uuid NOT NULL, customer_id uuid NOT NULL, text bytea, closed boolean NOT NULL,
	PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id)
);
SELECT art32.protect('desk.tickets');

CREATE TABLE settings (
	tenant_id uuid NOT NULL, id uuid NOT NULL, word text NOT NULL, secret bytea, PRIMARY KEY (tenant_id, id)
);
SELECT art32.protect('settings');
