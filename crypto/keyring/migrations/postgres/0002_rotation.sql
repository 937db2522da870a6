-- A state never goes back: what was retired does not seal again, what was
-- destroyed one by one is not taken for a tombstone undone.
CREATE FUNCTION art32_keys.keep_order() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE EXCEPTION 'the state of a key only moves forward';
END $$;
REVOKE ALL ON FUNCTION art32_keys.keep_order() FROM PUBLIC;

CREATE TRIGGER keep_order BEFORE UPDATE OF state ON art32_keys.keys
FOR EACH ROW WHEN (array_position(ARRAY['active', 'retired', 'destroyed', 'erased'], NEW.state)
	< array_position(ARRAY['active', 'retired', 'destroyed', 'erased'], OLD.state))
EXECUTE FUNCTION art32_keys.keep_order();
