CREATE TABLE customers (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, email BLOB, email_bidx BLOB UNIQUE, balance BLOB,
	city TEXT NOT NULL, born TIMESTAMP, plan TEXT NOT NULL
);
CREATE TABLE desk_tickets (
	tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id),
	text BLOB, file BLOB, closed INTEGER NOT NULL
);
CREATE TABLE settings (tenant_id TEXT NOT NULL, id TEXT NOT NULL PRIMARY KEY, word TEXT NOT NULL, secret BLOB);
CREATE TABLE lines (
	tenant_id TEXT NOT NULL, customer_id TEXT NOT NULL REFERENCES customers (id), kind TEXT NOT NULL, position INTEGER NOT NULL,
	text BLOB, text_bidx BLOB, note TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (customer_id, kind, position)
);
CREATE TABLE limits (tenant_id TEXT NOT NULL, name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL, secret BLOB);
CREATE TABLE counters (tenant_id TEXT NOT NULL, id INTEGER NOT NULL PRIMARY KEY, value BLOB);
