CREATE TABLE customers (
	tenant_id  uuid NOT NULL,
	id         uuid NOT NULL,
	name       bytea,
	email      bytea,
	email_bidx bytea,
	phone      bytea,
	iban       bytea,
	note       bytea,
	city       text NOT NULL,
	plan       text NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
CREATE INDEX customers_email ON customers (tenant_id, email_bidx);
SELECT art32.protect('customers');
