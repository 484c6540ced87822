-- An empty system's first hour: the one-time link to the first administrator, and how far a
-- municipality has come. Before there is an administrator there is no caller: the functions here are
-- the only way to one, and they do nothing as soon as there is one.

CREATE TABLE beginning (
    hash bytea PRIMARY KEY,
    made timestamptz NOT NULL,
    expires timestamptz NOT NULL
);
COMMENT ON TABLE beginning IS 'the link that makes the first administrator: at most one, the newest, only as its digest';
ALTER TABLE beginning ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION has_administrator(at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM access a JOIN person p ON p.municipality = a.municipality AND p.id = a.person
        WHERE a.role = 'administrator' AND (a.until IS NULL OR a.until > at)
          AND (p.left_on IS NULL OR p.left_on > at))
$$;
COMMENT ON FUNCTION has_administrator IS 'whether anybody in the whole database may act as administrator; tells nobody who';

CREATE FUNCTION offer_beginning(secret bytea, at timestamptz, end_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1650813799);
    DELETE FROM beginning;
    IF has_administrator(at) THEN
        RETURN false;
    END IF;
    INSERT INTO beginning (hash, made, expires) VALUES (secret, at, end_at);
    RETURN true;
END
$$;
COMMENT ON FUNCTION offer_beginning IS 'a new link, and the end of every older one; false where there is an administrator';

CREATE FUNCTION offer_first_beginning(secret bytea, at timestamptz, end_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM person) THEN
        RETURN offer_beginning(secret, at, end_at);
    END IF;
    IF has_administrator(at) THEN
        DELETE FROM beginning;
    END IF;
    RETURN false;
END
$$;
COMMENT ON FUNCTION offer_first_beginning IS 'the same for a gateway that starts, in an empty system alone: whoever reads what it prints takes over nobody''s register';

CREATE FUNCTION beginning_opens(secret bytea, at timestamptz) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM beginning b WHERE b.hash = secret AND b.expires > at)
       AND NOT has_administrator(at)
$$;

CREATE FUNCTION begin_here(secret bytea, at timestamptz, home text, wanted_login text)
RETURNS TABLE (municipality integer, person integer, public uuid, access integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    place integer;
BEGIN
    PERFORM pg_advisory_xact_lock(1650813799);
    DELETE FROM beginning b WHERE b.hash = secret AND b.expires > at;
    IF NOT FOUND OR has_administrator(at) THEN
        RETURN;
    END IF;
    INSERT INTO municipality (name) VALUES (home) ON CONFLICT (name) DO NOTHING;
    SELECT m.id INTO place FROM municipality m WHERE m.name = home;
    RETURN QUERY
        WITH new_person AS (
            INSERT INTO person (municipality, login) VALUES (place, wanted_login)
            RETURNING id, public),
        new_access AS (
            INSERT INTO access (municipality, person, role)
            SELECT place, n.id, 'administrator' FROM new_person n RETURNING id)
        SELECT place, n.id, n.public, a.id FROM new_person n, new_access a;
END
$$;
COMMENT ON FUNCTION begin_here IS 'the first administrator, once: of two who use the link at the same time, one; the other gets no row';

CREATE FUNCTION give_password(wanted uuid, hash text, factor bytea, step bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    found person;
BEGIN
    SELECT p.* INTO found FROM person p
    WHERE p.municipality = my_municipality() AND p.public = wanted FOR UPDATE;
    IF found.id IS NULL OR my_level('access') < 3 OR my_classes() IS NOT NULL
       OR found.password_hash IS NOT NULL OR found.issuer IS NOT NULL
       OR EXISTS (SELECT FROM access a
                  WHERE a.municipality = found.municipality AND a.person = found.id
                    AND my_districts() IS NOT NULL
                    AND (a.districts IS NULL OR NOT a.districts <@ my_districts())) THEN
        RETURN false;
    END IF;
    UPDATE person p SET password_hash = hash
    WHERE p.municipality = found.municipality AND p.id = found.id;
    IF factor IS NOT NULL THEN
        INSERT INTO second_factor (municipality, person, secret, last_step)
        VALUES (found.municipality, found.id, factor, step);
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION give_password IS 'the first password of a person who has none: an administrator changes nobody''s';

CREATE FUNCTION how_far()
RETURNS TABLE (municipality text, administrators bigint, districts bigint, teams bigint,
               colleagues bigint, citizens bigint, boxes bigint, joined bigint, heard bigint,
               placed bigint, alerts bigint, taken bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.name,
           (SELECT count(DISTINCT a.person) FROM access a
            JOIN person p ON p.municipality = a.municipality AND p.id = a.person
            WHERE a.municipality = m.id AND a.role = 'administrator'
              AND (a.until IS NULL OR a.until > my_now())
              AND (p.left_on IS NULL OR p.left_on > my_now())),
           (SELECT count(*) FROM district d WHERE d.municipality = m.id),
           (SELECT count(*) FROM team t WHERE t.municipality = m.id),
           (SELECT count(DISTINCT a.person) FROM access a
            JOIN person p ON p.municipality = a.municipality AND p.id = a.person
            JOIN role_right r ON r.role = a.role AND r.class = 'alert' AND r.level = 3
            WHERE a.municipality = m.id AND a.role <> 'planner'
              AND (a.until IS NULL OR a.until > my_now())
              AND (p.left_on IS NULL OR p.left_on > my_now())
              AND (p.password_hash IS NOT NULL OR p.issuer IS NOT NULL)),
           (SELECT count(*) FROM citizen c WHERE c.municipality = m.id AND c.home IS NOT NULL),
           (SELECT count(*) FROM edge e WHERE e.municipality = m.id AND e.home IS NOT NULL),
           (SELECT count(*) FROM edge e WHERE e.municipality = m.id AND e.home IS NOT NULL
              AND e.joined IS NOT NULL),
           (SELECT count(*) FROM edge e WHERE e.municipality = m.id AND e.home IS NOT NULL
              AND EXISTS (SELECT FROM contact k
                          WHERE k.municipality = e.municipality AND k.edge = e.id)),
           (SELECT count(*) FROM placement p WHERE p.municipality = m.id AND p."to" IS NULL),
           (SELECT count(*) FROM alert a WHERE a.municipality = m.id),
           (SELECT count(*) FROM alert a WHERE a.municipality = m.id AND a.state <> 'new')
    FROM municipality m
    WHERE m.id = my_municipality() AND my_level('home') = 3
$$;
COMMENT ON FUNCTION how_far IS 'counts of the whole municipality for who sets it up, also of what their role does not read (alerts)';

REVOKE EXECUTE ON FUNCTION has_administrator, offer_beginning, offer_first_beginning, beginning_opens,
    begin_here, give_password, how_far FROM PUBLIC;
GRANT EXECUTE ON FUNCTION offer_first_beginning, beginning_opens, begin_here, give_password, how_far
    TO trygport_api;
