-- People by file, taken back as one; and a device that was registered by mistake is taken away.

ALTER TABLE import ADD COLUMN kind text NOT NULL DEFAULT 'homes' CHECK (kind IN ('homes', 'people'));
COMMENT ON COLUMN import.kind IS 'homes: the register of citizens; people: colleagues and their roles, for who gives roles';
ALTER TABLE import_change DROP CONSTRAINT import_change_thing_check;
ALTER TABLE import_change ADD CONSTRAINT import_change_thing_check
    CHECK (thing IN ('home', 'citizen', 'identity', 'edge', 'device', 'placement',
                     'person', 'person_identity', 'access', 'member'));
ALTER TABLE team_member ADD COLUMN id integer GENERATED ALWAYS AS IDENTITY,
    ADD CONSTRAINT team_member_id UNIQUE (municipality, id);

-- What was given by a file is seen and taken back by who may give it.
ALTER POLICY import_own ON import
    USING (municipality = my_municipality() AND my_level('citizen') = 3
           AND (my_districts() IS NULL OR person = my_person())
           AND (kind = 'homes' OR (my_level('access') = 3 AND my_level('person') = 3)));

ALTER POLICY taken ON person
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3
           AND (SELECT my_level('access')) = 3
           AND (never_used('person', id)
                OR (made_by_import('person', municipality, id) AND not_acted('person', id))));
ALTER POLICY taken ON identity.person
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3
           AND (SELECT my_level('access')) = 3
           AND (never_used('person', person)
                OR (made_by_import('person_identity', municipality, person)
                    AND not_acted('person', person))));
GRANT DELETE ON access TO trygport_api;
CREATE POLICY taken ON access FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND (my_districts() IS NULL OR districts <@ my_districts())
           AND made_by_import('access', municipality, id) AND not_acted('access', id));

-- ---------------------------------------------------------------- a device made by mistake

ALTER POLICY device_taken_back ON device
    USING (made_by_import('device', municipality, id) OR never_used('device', id));
GRANT DELETE ON device_secret TO trygport_api;
CREATE POLICY taken ON device_secret FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) = 3
           AND never_used('device', device));
