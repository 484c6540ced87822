-- The policies of 0009, asked more cheaply: nobody sees more or less than before.
--
-- What a setting says is the same for every row of a statement. Written as `(SELECT my_…())` it is
-- worked out once a statement; written bare it was read and parsed anew for every row, in each of
-- the policies that one question passes. Whom an emergency has opened is asked of a function: as a
-- question in the policy of `citizen` it brought the policies of `emergency` into every plan that
-- leads to a citizen, which is nearly all of them.

CREATE FUNCTION my_right(wanted text, at_least integer) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(my_level(wanted) >= at_least, false);
COMMENT ON FUNCTION my_right IS 'true or null, never false: of `IS NOT NULL` the planner expects nearly every row, of `>= 2` a third, and a few such thirds made it join one row at a time';

CREATE FUNCTION my_opened() RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN ARRAY(SELECT e.citizen FROM emergency e
                 WHERE e.municipality = my_municipality() AND e.person = my_person()
                   AND e.role = my_role() AND e.until > my_now());
END
$$;
COMMENT ON FUNCTION my_opened IS 'the citizens outside my districts that I have opened in an emergency, as long as that holds';
REVOKE EXECUTE ON FUNCTION my_opened FROM PUBLIC;
GRANT EXECUTE ON FUNCTION my_opened TO trygport_api, trygport_reader;

-- A look is logged in every request. Its plan is the same whoever looks, and making it anew each
-- time was three quarters of what it cost: here it is made once a connection.
CREATE FUNCTION note_looks(of_municipality integer, seen_at timestamptz, by_person integer,
                           in_role text, shown_what text, shown integer[], lately timestamptz,
                           for_purpose text)
RETURNS void
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    WITH again AS MATERIALIZED (
        SELECT l.citizen FROM public.access_log l
        WHERE l.municipality = of_municipality AND l.person = by_person AND l.at > lately
          AND l.role = in_role AND l.what = shown_what AND l.purpose = for_purpose)
    INSERT INTO public.access_log (municipality, at, person, role, citizen, what, purpose)
    SELECT of_municipality, seen_at, by_person, in_role, one.citizen, shown_what, for_purpose
    FROM unnest(shown) AS one (citizen)
    WHERE one.citizen NOT IN (SELECT citizen FROM again WHERE citizen IS NOT NULL);
END
$$;
COMMENT ON FUNCTION note_looks IS 'as its caller, whom the policies of access_log confine; what was shown since `lately` is not told again';
REVOKE EXECUTE ON FUNCTION note_looks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_looks TO trygport_api;

-- Nobody says which number a row of the log has: one far ahead would refuse the honest row that comes
-- to it later. And no row has a time that link_log cannot write as a number: it would stop the chain.
REVOKE INSERT ON access_log FROM trygport_api;
GRANT INSERT (municipality, at, person, role, citizen, what, purpose) ON access_log TO trygport_api;
ALTER TABLE access_log ADD CONSTRAINT access_log_at CHECK (isfinite(at));
-- Nor in which role a look was: told of another role, it would be looked for in vain.
ALTER POLICY made ON access_log
    WITH CHECK (municipality = my_municipality() AND person = my_person() AND role = my_role());

-- No stage needs a table of its own making: one could only stand before ours in a search path.
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

ALTER POLICY seen ON citizen
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('citizen', 1)) IS NOT NULL
           AND ((SELECT my_districts()) IS NULL
                OR district = ANY ((SELECT my_districts())::integer[])
                OR id = ANY ((SELECT my_opened())::integer[])));

ALTER POLICY seen ON home
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('home', 2)) IS NOT NULL
           AND ((SELECT my_districts()) IS NULL
                OR district = ANY ((SELECT my_districts())::integer[])
                OR EXISTS (SELECT FROM citizen c
                           WHERE c.municipality = home.municipality AND c.home = home.id)));

ALTER POLICY seen ON identity.citizen
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('identity', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM public.citizen c
                       WHERE c.municipality = identity.citizen.municipality
                         AND c.id = identity.citizen.citizen));

ALTER POLICY seen ON person
    USING (municipality = (SELECT my_municipality())
           AND (id = (SELECT my_person()) OR (SELECT my_right('person', 1)) IS NOT NULL));

ALTER POLICY seen ON identity.person
    USING (municipality = (SELECT my_municipality())
           AND (person = (SELECT my_person()) OR (SELECT my_right('person', 2)) IS NOT NULL));

ALTER POLICY seen ON access_log
    USING (municipality = (SELECT my_municipality())
           AND (person = (SELECT my_person())
                OR ((SELECT my_right('log', 2)) IS NOT NULL
                    AND ((SELECT my_districts()) IS NULL
                         OR EXISTS (SELECT FROM citizen c
                                    WHERE c.municipality = access_log.municipality
                                      AND c.id = access_log.citizen)))));

ALTER POLICY seen ON device
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('device', 2)) IS NOT NULL
           AND (EXISTS (SELECT FROM placement p
                        WHERE p.municipality = device.municipality AND p.device = device.id)
                OR ((SELECT my_right('device', 3)) IS NOT NULL AND NOT is_placed(id))));

ALTER POLICY seen ON placement
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('placement', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                         AND c.id = placement.citizen));
ALTER POLICY observed ON placement
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('observation', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                         AND c.id = placement.citizen));

ALTER POLICY seen ON alert
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('alert', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = alert.municipality
                         AND c.id = alert.citizen));
ALTER POLICY seen ON finding
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('alert', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = finding.municipality
                         AND c.id = finding.citizen));
ALTER POLICY seen ON alert_move
    USING (municipality = (SELECT my_municipality()) AND (SELECT my_right('alert', 2)) IS NOT NULL
           AND EXISTS (SELECT FROM alert a WHERE a.municipality = alert_move.municipality
                         AND a.id = alert_move.alert));
