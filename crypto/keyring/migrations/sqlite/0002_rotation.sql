-- A state never goes back: what was retired does not seal again, what was
-- destroyed one by one is not taken for a tombstone undone.
CREATE TRIGGER art32_keys_keep_order BEFORE UPDATE OF code ON art32_keys
WHEN NEW.code < OLD.code
BEGIN
	SELECT RAISE(ABORT, 'the state of a key only moves forward');
END;

-- A key that is wrapped anew is overwritten where it lies.
CREATE TRIGGER art32_keys_keep_size BEFORE UPDATE OF wrapped ON art32_keys
WHEN length(NEW.wrapped) <> length(OLD.wrapped)
BEGIN
	SELECT RAISE(ABORT, 'a key keeps its size');
END;
