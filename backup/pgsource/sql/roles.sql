-- Makes the roles and tables of a backup with psql, as a superuser, in an empty
-- database. The rows come with load.sql.
\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
DO $art32$
DECLARE
	db name := current_database();
	owner name := db || '_owner';
	r name;
BEGIN
	IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION 'a restore needs the login of a superuser';
	END IF;
	IF octet_length(db) > 55 THEN
		RAISE EXCEPTION 'the name of the database must not have more than 55 bytes';
	END IF;
	IF to_regnamespace('art32') IS NOT NULL THEN
		RAISE EXCEPTION 'the database is not empty';
	END IF;
	IF to_regnamespace('art32_restoring') IS NOT NULL THEN
		RAISE EXCEPTION 'another restore into the database has not finished: take a new one';
	END IF;
	FOREACH r IN ARRAY ARRAY['art32_library', 'art32_app', 'art32_across', owner] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
			EXECUTE format('CREATE ROLE %I NOLOGIN', r);
		END IF;
	END LOOP;
	EXECUTE format('GRANT CREATE ON DATABASE %I TO %I', db, owner);
	EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', db);
	EXECUTE format('GRANT USAGE ON LANGUAGE plpgsql TO %I', owner);
	REVOKE ALL ON SCHEMA public FROM PUBLIC;
	EXECUTE format('GRANT USAGE, CREATE ON SCHEMA public TO %I', owner);
	GRANT USAGE ON SCHEMA public TO art32_library, art32_app, art32_across;
END $art32$;
SELECT current_database() || '_owner' AS art32_owner \gset
