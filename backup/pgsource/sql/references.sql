DO $art32$
-- Every foreign key that held before must hold now: loading checks none.
DECLARE
	k record;
	broken boolean;
BEGIN
	FOR k IN
		SELECT c.conname, format('%I.%I', fn.nspname, f.relname) AS referrer,
			format('SELECT EXISTS (SELECT FROM %s%I.%I f WHERE (%s) AND NOT EXISTS (SELECT FROM %s%I.%I p WHERE %s))',
				CASE f.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, fn.nspname, f.relname, x.filled,
				CASE p.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, pn.nspname, p.relname, x.equal) AS query
		FROM pg_catalog.pg_constraint c
		JOIN pg_catalog.pg_class f ON f.oid = c.conrelid JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
		JOIN pg_catalog.pg_class p ON p.oid = c.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
		CROSS JOIN LATERAL (
			SELECT string_agg(format('p.%I OPERATOR(%I.%s) f.%I', pa.attname, n.nspname, o.oprname, fa.attname), ' AND ') AS equal,
				string_agg(format('f.%I IS NOT NULL', fa.attname), CASE c.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END) AS filled
			FROM unnest(c.conkey, c.confkey, c.conpfeqop) AS u(fk, pk, op)
			JOIN pg_catalog.pg_attribute fa ON fa.attrelid = c.conrelid AND fa.attnum = u.fk
			JOIN pg_catalog.pg_attribute pa ON pa.attrelid = c.confrelid AND pa.attnum = u.pk
			JOIN pg_catalog.pg_operator o ON o.oid = u.op JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
		) x
		WHERE c.contype = 'f' AND c.conparentid = 0 AND c.convalidated
		ORDER BY 2, 1
	LOOP
		EXECUTE k.query INTO broken;
		IF broken THEN
			RAISE EXCEPTION 'foreign key % of table % does not hold', k.conname, k.referrer
				USING ERRCODE = '23503', CONSTRAINT = k.conname, TABLE = k.referrer;
		END IF;
	END LOOP;
END $art32$;
