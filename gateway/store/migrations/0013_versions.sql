-- Two people who change one device or one placement: the second is told. Whoever writes, by whatever
-- way, makes it another version, so a trigger counts and no program can forget to.

ALTER TABLE device ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE placement ADD COLUMN version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN device.version IS 'of the device and its key: what an ETag tells';
COMMENT ON COLUMN placement.version IS 'with the dose plan''s newest version added, what an ETag tells';

CREATE FUNCTION one_more_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;
CREATE TRIGGER versioned BEFORE UPDATE ON device
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION one_more_version();
CREATE TRIGGER versioned BEFORE UPDATE ON placement
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION one_more_version();
