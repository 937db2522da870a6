CREATE TABLE customers (
	id         TEXT NOT NULL PRIMARY KEY,
	tenant_id  TEXT NOT NULL,
	email      BLOB,
	email_bidx BLOB,
	plan       TEXT NOT NULL,
	carried    INTEGER NOT NULL
);
CREATE UNIQUE INDEX customers_email ON customers (email_bidx);
CREATE TABLE tickets (
	id          TEXT NOT NULL PRIMARY KEY,
	tenant_id   TEXT NOT NULL,
	customer_id TEXT NOT NULL REFERENCES customers (id),
	title       TEXT NOT NULL,
	open        INTEGER NOT NULL
);
