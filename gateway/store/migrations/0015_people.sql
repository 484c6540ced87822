-- Who works in which team; who may let a person leave; and what was made by mistake is taken away.

CREATE TABLE team_member (
    municipality integer NOT NULL,
    team integer NOT NULL,
    person integer NOT NULL,
    PRIMARY KEY (municipality, team, person),
    FOREIGN KEY (municipality, team) REFERENCES team (municipality, id),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);
COMMENT ON TABLE team_member IS 'who belongs to a team; who is on duty when, is shift''s';
CREATE INDEX team_member_person ON team_member (municipality, person);
ALTER TABLE team_member ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON team_member TO trygport_api;
CREATE POLICY seen ON team_member FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) >= 1
           AND EXISTS (SELECT FROM team t
                       WHERE t.municipality = team_member.municipality AND t.id = team_member.team));
CREATE POLICY made ON team_member FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('access')) = 3
                AND EXISTS (SELECT FROM team t
                            WHERE t.municipality = team_member.municipality
                              AND t.id = team_member.team));
CREATE POLICY taken ON team_member FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND EXISTS (SELECT FROM team t
                       WHERE t.municipality = team_member.municipality AND t.id = team_member.team));

-- Whoever is confined to some districts changes nobody who has a role outside them: neither the leave
-- date, which ends every role (and whose end brings them back), nor the name and the phone that stand
-- beside what somebody did in a district that is not the caller's.
CREATE FUNCTION no_role_elsewhere(number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT my_districts() IS NULL OR NOT EXISTS (
        SELECT FROM access a
        WHERE a.municipality = my_municipality() AND a.person = number
          AND (a.until IS NULL OR a.until > my_now())
          AND NOT COALESCE(a.districts <@ my_districts(), false))
$$;
COMMENT ON FUNCTION no_role_elsewhere IS 'whether all roles of this person lie in my_districts(); always true for who has every district';
REVOKE EXECUTE ON FUNCTION no_role_elsewhere FROM PUBLIC;
GRANT EXECUTE ON FUNCTION no_role_elsewhere TO trygport_api;
CREATE POLICY lets_leave ON person AS RESTRICTIVE FOR UPDATE TO trygport_api
    USING (true)
    WITH CHECK (no_role_elsewhere(id)
                AND (left_on IS NULL OR my_districts() IS NULL OR (SELECT my_level('access')) = 3));
CREATE POLICY renames ON identity.person AS RESTRICTIVE FOR UPDATE TO trygport_api
    USING (true)
    WITH CHECK (no_role_elsewhere(person));

-- ---------------------------------------------------------------- made by mistake

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

-- Most of what uses a row refers to it, and the reference itself refuses. This says the rest: names
-- go only with whom they name, districts stand in arrays, what a device said lies beside it by its
-- number or its address, and an import is undone as one.
CREATE FUNCTION never_used(wanted text, number integer) RETURNS boolean
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
COMMENT ON FUNCTION never_used IS 'whether a row that somebody made by mistake may be taken away again, by this caller''s municipality';
REVOKE EXECUTE ON FUNCTION never_used FROM PUBLIC;
GRANT EXECUTE ON FUNCTION never_used TO trygport_api;

ALTER POLICY home_taken_back ON home
    USING (made_by_import('home', municipality, id) OR never_used('home', id));
ALTER POLICY citizen_taken_back ON citizen
    USING (made_by_import('citizen', municipality, id) OR never_used('citizen', id));
ALTER POLICY identity_citizen_taken_back ON identity.citizen
    USING (made_by_import('identity', municipality, citizen) OR never_used('citizen', citizen));

GRANT DELETE ON district, team, person, identity.person TO trygport_api;
CREATE POLICY taken ON district FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND my_districts() IS NULL AND never_used('district', id));
CREATE POLICY taken ON team FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND my_district(district));
CREATE POLICY taken ON person FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3
           AND (SELECT my_level('access')) = 3 AND never_used('person', id));
CREATE POLICY taken ON identity.person FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3
           AND (SELECT my_level('access')) = 3 AND never_used('person', person));
CREATE POLICY judged_no_more ON deadline FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('citizen')) = 3
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = deadline.municipality
                         AND c.id = deadline.citizen)
           AND never_used('citizen', citizen));
