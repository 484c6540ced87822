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

CREATE FUNCTION not_acted(wanted text, number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE wanted
        WHEN 'person' THEN NOT EXISTS (
            SELECT FROM access_log x WHERE x.municipality = my_municipality() AND x.person = number)
            AND EXISTS (
            SELECT FROM person x WHERE x.municipality = my_municipality() AND x.id = number
              AND x.password_hash IS NULL AND x.issuer IS NULL)
        WHEN 'access' THEN NOT EXISTS (
            SELECT FROM access a JOIN access_log x
                ON x.municipality = a.municipality AND x.person = a.person AND x.role = a.role
            WHERE a.municipality = my_municipality() AND a.id = number)
        ELSE false END
$$;
COMMENT ON FUNCTION not_acted IS 'whether nothing tells of this person, or of this person in this role: the log must go on saying who that was';
REVOKE EXECUTE ON FUNCTION not_acted FROM PUBLIC;
GRANT EXECUTE ON FUNCTION not_acted TO trygport_api;

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

-- As 0015, and what no reference tells of a device: what it said lies beside it, by its number or
-- its address.
CREATE OR REPLACE FUNCTION never_used(wanted text, number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT NOT made_by_import(wanted, my_municipality(), number) AND CASE wanted
        WHEN 'citizen' THEN NOT EXISTS (
            SELECT FROM placement x WHERE x.municipality = my_municipality() AND x.citizen = number)
            AND NOT EXISTS (
            SELECT FROM alert x WHERE x.municipality = my_municipality() AND x.citizen = number)
            AND NOT EXISTS (
            SELECT FROM finding x WHERE x.municipality = my_municipality() AND x.citizen = number)
            AND NOT EXISTS (
            SELECT FROM emergency x WHERE x.municipality = my_municipality() AND x.citizen = number)
            AND NOT EXISTS (
            SELECT FROM placement_repair x
            WHERE x.municipality = my_municipality() AND number IN (x.was, x.became))
        WHEN 'person' THEN NOT EXISTS (
            SELECT FROM access x WHERE x.municipality = my_municipality() AND x.person = number)
            AND not_acted('person', number)
        WHEN 'district' THEN NOT EXISTS (
            SELECT FROM access x WHERE x.municipality = my_municipality() AND number = ANY (x.districts))
            AND NOT EXISTS (
            SELECT FROM api_key x WHERE x.municipality = my_municipality() AND number = ANY (x.districts))
            AND NOT EXISTS (
            SELECT FROM oidc_mapping x
            WHERE x.municipality = my_municipality() AND number = ANY (x.districts))
        WHEN 'device' THEN NOT EXISTS (
            SELECT FROM placement x WHERE x.municipality = my_municipality() AND x.device = number)
            AND NOT EXISTS (
            SELECT FROM device d JOIN observation x ON x.device = d.id
            WHERE d.municipality = my_municipality() AND d.id = number)
            AND NOT EXISTS (
            SELECT FROM unplaced_call x WHERE x.municipality = my_municipality() AND x.device = number)
            AND NOT EXISTS (
            SELECT FROM quarantine x JOIN device d
                ON d.municipality = x.municipality AND d.address = x.device
            WHERE d.municipality = my_municipality() AND d.id = number AND x.payload IS NOT NULL)
        ELSE true END
$$;
ALTER POLICY device_taken_back ON device
    USING (made_by_import('device', municipality, id) OR never_used('device', id));
GRANT DELETE ON device_secret TO trygport_api;
CREATE POLICY taken ON device_secret FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) = 3
           AND never_used('device', device));
