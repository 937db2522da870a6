CREATE TABLE customers (
	tenant_id uuid NOT NULL, id uuid NOT NULL, email bytea, email_bidx bytea, city text NOT NULL, plan text NOT NULL,
	number bigint GENERATED ALWAYS AS IDENTITY, shout text GENERATED ALWAYS AS (upper(plan)) STORED,
	PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, email_bidx)
);
SELECT art32.protect('customers');
CREATE TABLE notes (
	tenant_id uuid NOT NULL, id uuid NOT NULL, customer_id uuid NOT NULL, word text NOT NULL,
	PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
) PARTITION BY HASH (id);
CREATE TABLE notes_0 PARTITION OF notes FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT art32.protect('notes');
CREATE VIEW plans WITH (security_invoker) AS SELECT tenant_id, plan FROM customers;
GRANT SELECT ON plans TO art32_app;
CREATE TABLE rates (tenant_id uuid NOT NULL, plan text NOT NULL, year bigint NOT NULL, cents bigint NOT NULL, PRIMARY KEY (tenant_id, plan, year));
SELECT art32.protect('rates');
