CREATE TABLE customers (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, email BLOB, email_bidx BLOB UNIQUE, city TEXT NOT NULL, plan TEXT NOT NULL
);
CREATE TABLE notes (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE, word TEXT NOT NULL
);
CREATE VIEW plans AS SELECT tenant_id, plan FROM customers;
CREATE TABLE rates (tenant_id TEXT NOT NULL, plan TEXT NOT NULL, year INTEGER NOT NULL, cents INTEGER NOT NULL, PRIMARY KEY (plan, year));
