CREATE TABLE customers (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, email BLOB, email_bidx BLOB UNIQUE, balance BLOB,
	city TEXT NOT NULL, born TIMESTAMP, plan TEXT NOT NULL
);
CREATE TABLE desk_tickets (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id),
	text BLOB, closed INTEGER NOT NULL
);
CREATE TABLE settings (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, word TEXT NOT NULL, secret BLOB);
