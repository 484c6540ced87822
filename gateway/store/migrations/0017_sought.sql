-- A citizen outside one's districts is found by name and address before an emergency opening.
--
-- Names are sealed, so the search opens them in the program (gateway/store/sought.py). What it needs
-- is given here, and nowhere else: never without a row in the access log, and at most ten times an
-- hour to one person. Whoever is found is opened at once, so nobody searches without being seen.

CREATE FUNCTION seek_citizens()
RETURNS TABLE (id integer, public uuid, name text, address text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF my_level('emergency') < 3 OR my_level('identity') < 2 OR my_classes() IS NOT NULL
       OR my_person() IS NULL OR my_now() IS NULL THEN
        RETURN;
    END IF;
    -- two at once would both be the tenth
    PERFORM pg_advisory_xact_lock(hashtextextended('trygport sought ' || my_municipality(), my_person()));
    IF (SELECT count(*) FROM access_log l
        WHERE l.municipality = my_municipality() AND l.person = my_person()
          AND l.what = 'emergency.sought' AND l.at > my_now() - interval '1 hour') >= 10 THEN
        RETURN;
    END IF;
    INSERT INTO access_log (municipality, at, person, role, what, purpose)
    VALUES (my_municipality(), my_now(), my_person(), my_role(), 'emergency.sought', my_purpose());
    RETURN QUERY
        SELECT c.id, c.public, i.name, i.address FROM citizen c
        JOIN identity.citizen i ON i.municipality = c.municipality AND i.citizen = c.id
        WHERE c.municipality = my_municipality();
END
$$;
COMMENT ON FUNCTION seek_citizens IS 'sealed names and addresses of the whole municipality, to find whom an emergency opening means; each call is logged';
REVOKE EXECUTE ON FUNCTION seek_citizens FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seek_citizens TO trygport_api;
