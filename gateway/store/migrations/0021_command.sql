-- What a person asks of a box and what the box answers: named and time-boxed, never a shell. What a
-- discovery finds are mostly the neighbours' devices, which are personal data: only who asked is
-- told, and the row is gone an hour after it was asked for.

-- unlogged: neither the write-ahead log nor a base backup keeps what was in the air beyond its hour
CREATE UNLOGGED TABLE command (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    edge integer NOT NULL,
    person integer NOT NULL,
    what text NOT NULL CHECK (length(what) <= 40),
    seconds smallint NOT NULL CHECK (seconds BETWEEN 1 AND 600),
    asked timestamptz NOT NULL,
    until timestamptz NOT NULL,
    sent timestamptz,
    answered timestamptz,
    error text CHECK (length(error) <= 40),
    found jsonb,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id) ON DELETE CASCADE,
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id) ON DELETE CASCADE
);
COMMENT ON TABLE command IS 'what was asked of a box and its answer; for who asked alone, and for an hour';
COMMENT ON COLUMN command.until IS 'when the box must have begun: later it does nothing';
COMMENT ON COLUMN command.sent IS 'when it was last handed to the broker; again and again until it is answered';
COMMENT ON COLUMN command.error IS 'the box''s word for why it did not';
COMMENT ON COLUMN command.found IS 'what was in the air: addresses and kinds, no names';
CREATE INDEX command_asked ON command (asked);

GRANT SELECT, UPDATE (sent, answered, error, found), DELETE ON command TO trygport_ingest;
GRANT SELECT, INSERT (municipality, edge, person, what, seconds, asked, until) ON command
    TO trygport_api;
ALTER TABLE command ENABLE ROW LEVEL SECURITY;
CREATE POLICY stages ON command TO trygport_ingest USING (true);
CREATE POLICY seen ON command FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND person = my_person()
           AND (SELECT my_level('signal')) = 3
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = command.municipality AND e.id = command.edge));
CREATE POLICY made ON command FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND person = my_person()
                AND (SELECT my_level('signal')) = 3
                AND EXISTS (SELECT FROM edge e
                            WHERE e.municipality = command.municipality AND e.id = command.edge));

-- What happened to a box tells when somebody had no power or no line: for who mends boxes alone.
ALTER POLICY seen ON box_event
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) = 3
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = box_event.municipality AND e.id = box_event.edge));

-- A box that leaves a home takes nothing of that home's life with it.
CREATE FUNCTION forget_home() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    DELETE FROM box_event b
    WHERE b.municipality = OLD.municipality AND b.edge = OLD.id AND b.word LIKE 'device.%';
    DELETE FROM command c WHERE c.municipality = OLD.municipality AND c.edge = OLD.id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION forget_home IS 'what devices did in the home that a box left, and what was in the air there';
REVOKE EXECUTE ON FUNCTION forget_home FROM PUBLIC;
CREATE TRIGGER forget_home AFTER UPDATE OF home ON edge
    FOR EACH ROW WHEN (OLD.home IS NOT NULL AND OLD.home IS DISTINCT FROM NEW.home)
    EXECUTE FUNCTION forget_home();
