-- ANALYZE keeps samples of a column's values in a table of the server's. A wrapped key
-- must not be among them: it would outlive its destruction. Those that are there already
-- are given up by setting the type anew, which a trigger on the column is in the way of.
ALTER TABLE art32_keys.keys ALTER COLUMN wrapped SET STATISTICS 0;
DO $$
DECLARE
	triggers text[] := ARRAY(SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t
		WHERE t.tgrelid = 'art32_keys.keys'::regclass AND NOT t.tgisinternal);
	t record;
	definition text;
BEGIN
	FOR t IN SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = 'art32_keys.keys'::regclass AND NOT tgisinternal LOOP
		EXECUTE format('DROP TRIGGER %I ON art32_keys.keys', t.tgname);
	END LOOP;
	ALTER TABLE art32_keys.keys ALTER COLUMN wrapped TYPE bytea;
	FOREACH definition IN ARRAY triggers LOOP
		EXECUTE definition;
	END LOOP;
END
$$;
