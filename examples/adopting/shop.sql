-- The database of an application that knows nothing of art32.
CREATE TABLE firms (
	id   uuid PRIMARY KEY,
	name text NOT NULL
);
CREATE TABLE customers (
	id        uuid PRIMARY KEY,
	tenant_id uuid NOT NULL REFERENCES firms,
	email     text NOT NULL UNIQUE,
	plan      text NOT NULL
);
CREATE TABLE tickets (
	id          uuid PRIMARY KEY,
	tenant_id   uuid NOT NULL REFERENCES firms,
	customer_id uuid NOT NULL REFERENCES customers ON DELETE CASCADE,
	title       text NOT NULL,
	open        boolean NOT NULL DEFAULT true
);
CREATE VIEW open_tickets AS SELECT id, tenant_id, title FROM tickets WHERE open;
