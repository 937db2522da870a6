-- The data subjects who were erased, so that no write about one can follow.
CREATE TABLE art32_erased (
	tenant_id TEXT NOT NULL,
	subject   TEXT NOT NULL,
	erased_at TIMESTAMP NOT NULL,
	PRIMARY KEY (tenant_id, subject)
);
