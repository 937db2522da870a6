CREATE TABLE customers (
	tenant_id  TEXT NOT NULL,
	id         TEXT NOT NULL PRIMARY KEY,
	name       BLOB,
	email      BLOB,
	email_bidx BLOB,
	phone      BLOB,
	iban       BLOB,
	note       BLOB,
	city       TEXT NOT NULL,
	plan       TEXT NOT NULL
);
CREATE INDEX customers_email ON customers (email_bidx);
