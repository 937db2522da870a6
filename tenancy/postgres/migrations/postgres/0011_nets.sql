-- What callers' text writes does not go unrecorded. Two nets lie below each protected
-- table, for callers' text alone: a report of what was written, which the library
-- reads, and a refusal at the commit where no event was recorded at all.

-- report_write tells the client how many rows of which table a statement has written.
-- No setting of the session's holds back an INFO.
CREATE FUNCTION art32.report_write() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n pg_catalog.int8;
	place pg_catalog.pg_class;
BEGIN
	SELECT count(*) INTO n FROM written;
	IF n > 0 THEN
		SELECT c.* INTO place FROM pg_catalog.pg_class c WHERE c.oid = coalesce(pg_partition_root(TG_RELID), TG_RELID);
		RAISE INFO 'art32: rows written' USING ERRCODE = 'Z3202', SCHEMA = place.relnamespace::regnamespace::pg_catalog.text,
			TABLE = place.relname, DETAIL = lower(TG_OP) || ' ' || n;
	END IF;
	RETURN NULL;
END
$$;

-- demand_event ends a transaction that has written and of which nothing tells. The
-- library sets art32.recorded before it commits.
CREATE FUNCTION art32.demand_event() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF coalesce(current_setting('art32.recorded', true), '') = '' THEN
		RAISE EXCEPTION 'art32: rows were written and no event was recorded' USING ERRCODE = 'Z3203';
	END IF;
	RETURN NULL;
END
$$;

-- net puts both below a table. One row a transaction waits for the commit: the first
-- sets art32.net. A partition gets a second trigger of its parent's, so that the name
-- must not be the same.
CREATE FUNCTION art32.net(t regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	callers CONSTANT pg_catalog.text := 'pg_catalog.current_setting(''art32.ctx'', true) OPERATOR(pg_catalog.<>) ''''';
	old pg_catalog.name;
	verb pg_catalog.text;
BEGIN
	FOR old IN SELECT g.tgname FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t AND g.tgparentid = 0
		AND g.tgfoid IN ('art32.report_write()'::regprocedure, 'art32.demand_event()'::regprocedure)
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', old, t);
	END LOOP;
	FOREACH verb IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
		EXECUTE format('CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s TABLE AS written FOR EACH STATEMENT WHEN (%s) EXECUTE FUNCTION art32.report_write()',
			'art32_report_' || verb, verb, t, CASE verb WHEN 'delete' THEN 'OLD' ELSE 'NEW' END, callers);
	END LOOP;
	EXECUTE format('CREATE CONSTRAINT TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (%s'
		' AND pg_catalog.current_setting(''art32.net'', true) IS DISTINCT FROM ''on'''
		' AND pg_catalog.set_config(''art32.net'', ''on'', true) OPERATOR(pg_catalog.=) ''on'') EXECUTE FUNCTION art32.demand_event()',
		'art32_demand_event_' || t::oid, t, callers);
END
$$;
REVOKE ALL ON FUNCTION art32.report_write(), art32.demand_event(), art32.net(regclass) FROM PUBLIC;

-- protect is that of 0010, but for the nets.
CREATE OR REPLACE FUNCTION art32.protect(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plain pg_catalog.text := format('%I = (SELECT nullif(current_setting(''art32.tenant'', true), '''')::uuid)', tenant_column);
	claim pg_catalog.text := format('%I = (SELECT nullif(split_part(current_setting(''art32.ctx'', true), ''.'', 2), '''')::uuid)', tenant_column);
	sealed pg_catalog.text := format('%I = (SELECT tenant FROM art32.ctx)', tenant_column);
	policy pg_catalog.text;
BEGIN
	PERFORM art32.unwatch(t);
	FOREACH policy IN ARRAY ARRAY['art32_library', 'art32_library_guard', 'art32_app', 'art32_app_guard'] LOOP
		EXECUTE format('DROP POLICY IF EXISTS %I ON %s', policy, t);
	END LOOP;
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
	EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
	EXECUTE format('CREATE POLICY art32_library ON %s TO art32_library USING (%s) WITH CHECK (%s)', t, plain, plain);
	EXECUTE format('CREATE POLICY art32_library_guard ON %s AS RESTRICTIVE TO art32_library USING (%s) WITH CHECK (%s)', t, plain, plain);
	EXECUTE format('CREATE POLICY art32_app ON %s TO art32_app USING (%s) WITH CHECK (%s)', t, sealed, claim);
	EXECUTE format('CREATE POLICY art32_app_guard ON %s AS RESTRICTIVE TO art32_app USING (%s) WITH CHECK (%s)', t, sealed, sealed);
	EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, art32_library, art32_app', t);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO art32_library, art32_app', t);
	IF (SELECT c.relnamespace::regnamespace::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.oid = t) NOT IN ('art32', 'art32_keys') THEN
		PERFORM art32.protect_across(t, tenant_column); -- the library's own are not read over tenants
		PERFORM art32.net(t);
	END IF;
END
$$;

-- The tables that are protected already, and the pattern that Open compares with.
SELECT art32.net(c.oid) FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
WHERE p.polname = 'art32_library' AND c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text NOT IN ('art32', 'art32_keys');
SELECT art32.net('art32.pattern');
