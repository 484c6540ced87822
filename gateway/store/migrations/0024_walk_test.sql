-- The walk test: for at most 30 minutes a technician triggers the devices of a home and sees each
-- heard. Calls of the devices listed are told to nobody on duty if they come while it runs; its
-- rows are the acceptance record and stay.

CREATE TABLE walk_test (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    edge integer NOT NULL,
    home integer NOT NULL,
    person integer,
    started timestamptz NOT NULL,
    until timestamptz NOT NULL,
    ended timestamptz,
    ended_by text CHECK (ended_by IN ('person', 'time')),
    ender integer,
    remark text NOT NULL DEFAULT '' CHECK (length(remark) <= 1000),
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id) ON DELETE CASCADE,
    FOREIGN KEY (municipality, home) REFERENCES home (municipality, id) ON DELETE CASCADE,
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id),
    FOREIGN KEY (municipality, ender) REFERENCES person (municipality, id),
    CHECK (until > started AND until <= started + interval '30 minutes'),
    CHECK (ended IS NULL OR (ended >= started AND ended <= until)),
    CHECK ((ended IS NULL) = (ended_by IS NULL))
);
COMMENT ON TABLE walk_test IS 'a technician tries the devices of a home; it is over at "ended", and at "until" whatever anybody does';
COMMENT ON COLUMN walk_test.person IS 'null: the command on the gateway itself';
COMMENT ON COLUMN walk_test.ended IS 'null while it runs, and until somebody notes that its time was over';
CREATE UNIQUE INDEX walk_test_running ON walk_test (municipality, home) WHERE ended IS NULL;
CREATE INDEX walk_test_home ON walk_test (municipality, home, started DESC);
CREATE INDEX walk_test_until ON walk_test (until);

CREATE TABLE walk_device (
    municipality integer NOT NULL,
    test bigint NOT NULL,
    placement integer NOT NULL,
    address text NOT NULL,
    role text NOT NULL,
    room text NOT NULL,
    PRIMARY KEY (municipality, test, placement),
    FOREIGN KEY (municipality, test) REFERENCES walk_test (municipality, id) ON DELETE CASCADE,
    FOREIGN KEY (municipality, placement) REFERENCES placement (municipality, id) ON DELETE CASCADE
);
COMMENT ON TABLE walk_device IS 'what is under test, as it was placed when the test began: nothing else is silenced by it';
CREATE INDEX walk_device_placement ON walk_device (municipality, placement);

CREATE TABLE walk_heard (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    test bigint NOT NULL,
    placement integer NOT NULL,
    edge integer NOT NULL,
    kind smallint NOT NULL,
    active boolean NOT NULL,
    occurred timestamptz NOT NULL,
    stored timestamptz NOT NULL,
    clock smallint NOT NULL,
    rssi smallint,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, test, placement)
        REFERENCES walk_device (municipality, test, placement) ON DELETE CASCADE,
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id) ON DELETE CASCADE
);
COMMENT ON TABLE walk_heard IS 'what came of a device under test while the test ran, by which box, how strong (dBm) and how soon';
COMMENT ON COLUMN walk_heard.active IS 'that it said something happened: a press, movement, an open door';
CREATE INDEX walk_heard_test ON walk_heard (municipality, test, placement);

GRANT SELECT ON walk_test, walk_device TO trygport_ingest, trygport_watch, trygport_api;
GRANT SELECT ON walk_heard TO trygport_ingest, trygport_api;
GRANT INSERT ON walk_heard TO trygport_ingest;
GRANT UPDATE (ended, ended_by) ON walk_test TO trygport_watch;
GRANT INSERT (municipality, edge, home, person, started, until) ON walk_test TO trygport_api;
GRANT UPDATE (ended, ended_by, ender, remark) ON walk_test TO trygport_api;
GRANT INSERT ON walk_device TO trygport_api;

ALTER TABLE walk_test ENABLE ROW LEVEL SECURITY;
ALTER TABLE walk_device ENABLE ROW LEVEL SECURITY;
ALTER TABLE walk_heard ENABLE ROW LEVEL SECURITY;
CREATE POLICY stages ON walk_test TO trygport_ingest, trygport_watch USING (true);
CREATE POLICY stages ON walk_device TO trygport_ingest, trygport_watch USING (true);
CREATE POLICY stages ON walk_heard TO trygport_ingest USING (true);
-- Who answers alerts sees that a home is under test: until when its button calls nobody.
CREATE POLICY seen ON walk_test FOR SELECT TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('signal')) = 3 OR (SELECT my_level('alert')) >= 2)
           AND EXISTS (SELECT FROM home h
                       WHERE h.municipality = walk_test.municipality AND h.id = walk_test.home));
CREATE POLICY made ON walk_test FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND person = my_person()
                AND (SELECT my_level('signal')) = 3
                AND EXISTS (SELECT FROM edge e
                            WHERE e.municipality = walk_test.municipality
                              AND e.id = walk_test.edge AND e.home = walk_test.home));
CREATE POLICY changed ON walk_test FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) = 3
           AND EXISTS (SELECT FROM home h
                       WHERE h.municipality = walk_test.municipality AND h.id = walk_test.home))
    WITH CHECK (ended IS NOT NULL);
CREATE POLICY seen ON walk_device FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) = 3
           AND EXISTS (SELECT FROM walk_test t
                       WHERE t.municipality = walk_device.municipality AND t.id = walk_device.test));
-- Only devices of that very home, and only in a test of one's own that has not ended.
CREATE POLICY made ON walk_device FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('signal')) = 3
                AND EXISTS (SELECT FROM walk_test t
                            JOIN citizen c ON c.municipality = t.municipality AND c.home = t.home
                            JOIN placement p ON p.municipality = c.municipality
                                            AND p.citizen = c.id AND p."to" IS NULL
                            WHERE t.municipality = walk_device.municipality
                              AND t.id = walk_device.test AND t.person = my_person()
                              AND t.ended IS NULL AND p.id = walk_device.placement));
CREATE POLICY seen ON walk_heard FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) = 3
           AND EXISTS (SELECT FROM walk_test t
                       WHERE t.municipality = walk_heard.municipality AND t.id = walk_heard.test));
