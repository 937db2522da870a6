-- Callers' text adds nothing to the log any more. The library's own events in such a
-- transaction come in through a function that demands a proof of it:
-- docs/formats/sealed-context.md.

-- admit_event adds one event of the context's tenant, actor and session, with the
-- parts of its payload. A part under the tenant's key has the subject of all zeroes.
CREATE FUNCTION art32.admit_event(event uuid, happened bigint, wrote uuid, number bigint, what text, about uuid,
	result smallint, parts_digests bytea, event_mac bytea, subjects uuid[], ciphertexts bytea[], proof text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	tenant pg_catalog.uuid := art32.sealed_part(2);
	zero CONSTANT pg_catalog.uuid := '00000000-0000-0000-0000-000000000000';
	inner_pad pg_catalog.bytea;
	outer_pad pg_catalog.bytea;
	want pg_catalog.text;
BEGIN
	SELECT k.ipad, k.opad INTO inner_pad, outer_pad FROM art32.seal_keys k
		WHERE k.id::pg_catalog.text = split_part(proof, '.', 1) AND (k.retires_at IS NULL OR k.retires_at > clock_timestamp());
	want := encode(sha256(outer_pad || sha256(inner_pad || convert_to('art32/admit/v1', 'UTF8')
		|| uuid_send(tenant) || uuid_send(event) || event_mac || parts_digests)), 'hex');
	-- Digests are compared, so that the time says nothing of how much was guessed.
	IF (sha256(convert_to(split_part(proof, '.', 2), 'UTF8')) = sha256(convert_to(want, 'UTF8'))
		AND cardinality(subjects) = cardinality(ciphertexts)
		AND (SELECT coalesce(string_agg(sha256(uuid_send(p.subject) || p.ciphertext), '' ORDER BY p.n), '')
			FROM unnest(subjects, ciphertexts) WITH ORDINALITY p(subject, ciphertext, n)) = parts_digests
		AND octet_length(parts_digests) = 32 * cardinality(ciphertexts)) IS NOT TRUE THEN
		RAISE EXCEPTION 'art32: event refused' USING ERRCODE = '42501';
	END IF;
	INSERT INTO art32.events (id, tenant_id, at, writer, counter, actor, session, action, object, outcome, digests, mac)
		VALUES (event, tenant, happened, wrote, number, art32.sealed_part(3), art32.sealed_part(4), what, about, result, parts_digests, event_mac);
	INSERT INTO art32.event_parts (tenant_id, event_id, part, subject, ciphertext)
		SELECT tenant, event, p.n - 1, nullif(p.subject, zero), p.ciphertext
		FROM unnest(subjects, ciphertexts) WITH ORDINALITY p(subject, ciphertext, n);
END
$$;
REVOKE ALL ON FUNCTION art32.admit_event(uuid, bigint, uuid, bigint, text, uuid, smallint, bytea, bytea, uuid[], bytea[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION art32.admit_event(uuid, bigint, uuid, bigint, text, uuid, smallint, bytea, bytea, uuid[], bytea[], text) TO art32_app;

DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['events', 'event_parts'] LOOP
		EXECUTE format('DROP POLICY art32_app ON art32.%I', t);
		EXECUTE format('DROP POLICY art32_app_guard ON art32.%I', t);
		EXECUTE format('REVOKE ALL ON art32.%I FROM art32_app', t);
		-- The owner of admit_event adds rows of the tenant whose sealed context is set.
		EXECUTE format('CREATE POLICY art32_admission ON art32.%I FOR INSERT TO %I WITH CHECK (tenant_id = (SELECT art32.sealed_part(2))::uuid)', t, current_user);
	END LOOP;
END
$$;
