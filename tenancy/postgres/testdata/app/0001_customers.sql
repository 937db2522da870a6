CREATE TABLE customers (
	tenant_id  uuid NOT NULL REFERENCES art32.tenants (id),
	id         uuid NOT NULL,
	email      bytea,
	email_bidx bytea,
	name       bytea,
	city       text NOT NULL,
	plan       text NOT NULL,
	visits     int NOT NULL DEFAULT 0,
	born       timestamptz,
	PRIMARY KEY (tenant_id, id)
);
SELECT art32.protect('customers');
