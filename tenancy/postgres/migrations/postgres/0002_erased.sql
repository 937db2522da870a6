-- The data subjects who were erased, so that no write about one can follow, not
-- even by an instance that still holds the key in memory.
CREATE TABLE art32.erased (
	tenant_id uuid NOT NULL,
	subject   uuid NOT NULL,
	erased_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, subject)
);
SELECT art32.protect('art32.erased');
REVOKE ALL ON art32.erased FROM art32_library, art32_app;
GRANT SELECT, INSERT ON art32.erased TO art32_library;
GRANT SELECT ON art32.erased TO art32_app;
