-- Who comes in, and how: sessions in one role at a time, keys with a scope, a second factor, and the
-- municipality's own provider. Before the caller is known nothing is visible: the functions here are
-- the only way from a cookie, a key, a login or a provider's word to a person.

ALTER TABLE person
    ADD COLUMN issuer text,
    ADD COLUMN subject text,
    ADD CONSTRAINT person_subject UNIQUE (issuer, subject),
    ADD CONSTRAINT person_of_provider CHECK ((issuer IS NULL) = (subject IS NULL));
COMMENT ON COLUMN person.subject IS 'the provider''s name for this person, for ever theirs; a login or an address is not';

ALTER TABLE access
    ADD COLUMN until timestamptz,
    ADD CONSTRAINT access_of_person UNIQUE (municipality, id, person);
COMMENT ON COLUMN access.until IS 'when this role ended for this person; null: it has not';

ALTER TABLE session
    ADD COLUMN public uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN person integer,
    ADD COLUMN how text NOT NULL DEFAULT 'password' CHECK (how IN ('password', 'provider'));
UPDATE session s SET person = a.person FROM access a
WHERE a.municipality = s.municipality AND a.id = s.access;
ALTER TABLE session
    ALTER COLUMN person SET NOT NULL,
    ADD CONSTRAINT session_in_own_role
        FOREIGN KEY (municipality, access, person) REFERENCES access (municipality, id, person);
CREATE INDEX session_of_person ON session (municipality, person);

ALTER TABLE api_key
    ADD COLUMN public uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    ADD COLUMN name text NOT NULL DEFAULT '',
    ADD COLUMN districts integer[],
    ADD COLUMN classes text[],
    ADD COLUMN purpose text NOT NULL DEFAULT '',
    ADD COLUMN created timestamptz,
    ADD COLUMN ended timestamptz,
    ADD COLUMN old_hash bytea UNIQUE,
    ADD COLUMN old_expires timestamptz;
COMMENT ON COLUMN api_key.districts IS 'null: those of the access; else only what is in both';
COMMENT ON COLUMN api_key.classes IS 'null: those of the role; else only these (gateway/store/rights.py)';
COMMENT ON COLUMN api_key.old_hash IS 'the secret before the last rotation: it opens until old_expires, so that nothing stands still';

CREATE TABLE second_factor (
    municipality integer NOT NULL,
    person integer NOT NULL,
    secret bytea NOT NULL,
    last_step bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (municipality, person),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);
COMMENT ON COLUMN second_factor.last_step IS 'the step of the last code that was taken: none opens twice (RFC 6238, 5.2)';

CREATE TABLE break_glass (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    person integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);
COMMENT ON TABLE break_glass IS 'each use of an account with a password where people sign in by a provider';

CREATE TABLE oidc_login (
    state bytea PRIMARY KEY,
    browser bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    expires timestamptz NOT NULL
);
COMMENT ON TABLE oidc_login IS 'sign-ins on their way to the provider and back; taken out once, whatever comes of it';

CREATE TABLE oidc_mapping (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    claim text NOT NULL,
    value text NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'planner', 'technician', 'clinical_owner', 'leader',
                                       'auditor', 'administrator')),
    districts integer[] CHECK (cardinality(districts) > 0),
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    UNIQUE (municipality, claim, value, role)
);
COMMENT ON TABLE oidc_mapping IS 'whoever brings this claim with this value has this role; null districts: all';

-- ---------------------------------------------------------------- what the API may see by itself

REVOKE ALL ON session, api_key FROM trygport_api;
GRANT SELECT (municipality, public, person, access, how, created, seen, expires),
      UPDATE (hash, access), DELETE ON session TO trygport_api;
GRANT SELECT (municipality, id, public, access, name, districts, classes, purpose, created, expires,
              ended, last_used, old_expires),
      INSERT (municipality, access, hash, name, districts, classes, purpose, created, expires),
      UPDATE (ended) ON api_key TO trygport_api;
REVOKE SELECT, INSERT, UPDATE ON person FROM trygport_api;
GRANT SELECT (municipality, id, public, login, left_on, issuer),
      INSERT (municipality, login), UPDATE (login, left_on) ON person TO trygport_api;
GRANT SELECT ON break_glass TO trygport_api;
GRANT SELECT, INSERT, DELETE ON oidc_mapping TO trygport_api;

ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE access ENABLE ROW LEVEL SECURITY;
ALTER TABLE second_factor ENABLE ROW LEVEL SECURITY;
ALTER TABLE break_glass ENABLE ROW LEVEL SECURITY;
ALTER TABLE oidc_mapping ENABLE ROW LEVEL SECURITY;

CREATE POLICY session_own ON session TO trygport_api
    USING (municipality = my_municipality() AND person = my_person());
CREATE POLICY access_own ON access FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND person = my_person());
CREATE POLICY api_key_of_administrator ON api_key TO trygport_api
    USING (municipality = my_municipality() AND my_level('key') = 3
           AND (my_districts() IS NULL OR districts <@ my_districts()));
CREATE POLICY break_glass_seen ON break_glass FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND my_level('key') >= 2);
CREATE POLICY oidc_mapping_of_administrator ON oidc_mapping TO trygport_api
    USING (municipality = my_municipality() AND my_level('access') = 3 AND my_districts() IS NULL);

-- ---------------------------------------------------------------- before the caller is known

CREATE FUNCTION caller_by_session(cookie bytea, at timestamptz, idle_since timestamptz)
RETURNS TABLE (municipality integer, person integer, public uuid, name text, role text,
               districts integer[], access integer, session uuid, seen timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.municipality, p.id, p.public, COALESCE(NULLIF(i.name, ''), p.login), a.role,
           a.districts, a.id, s.public, s.seen
    FROM session s
    JOIN access a ON a.municipality = s.municipality AND a.id = s.access
    JOIN person p ON p.municipality = a.municipality AND p.id = a.person
    LEFT JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id
    WHERE s.hash = cookie AND s.expires > at AND s.seen > idle_since
      AND (a.until IS NULL OR a.until > at) AND (p.left_on IS NULL OR p.left_on > at)
$$;

CREATE FUNCTION caller_by_key(secret bytea, at timestamptz)
RETURNS TABLE (municipality integer, person integer, public uuid, name text, role text,
               districts integer[], access integer, classes text[], purpose text,
               key integer, last_used timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.municipality, p.id, p.public,
           COALESCE(NULLIF(i.name, ''), NULLIF(k.name, ''), p.login), a.role,
           CASE WHEN k.districts IS NULL THEN a.districts
                WHEN a.districts IS NULL THEN k.districts
                ELSE ARRAY(SELECT unnest(k.districts) INTERSECT SELECT unnest(a.districts)) END,
           a.id, k.classes, k.purpose, k.id, k.last_used
    FROM api_key k
    JOIN access a ON a.municipality = k.municipality AND a.id = k.access
    JOIN person p ON p.municipality = a.municipality AND p.id = a.person
    LEFT JOIN identity.person i ON i.municipality = p.municipality AND i.person = p.id
    WHERE (k.hash = secret OR (k.old_hash = secret AND k.old_expires > at))
      AND k.expires > at AND (k.ended IS NULL OR k.ended > at)
      AND (a.until IS NULL OR a.until > at) AND (p.left_on IS NULL OR p.left_on > at)
$$;

CREATE FUNCTION session_seen(cookie bytea, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE session SET seen = at WHERE hash = cookie AND seen < at
$$;

CREATE FUNCTION key_used(wanted_municipality integer, wanted integer, at timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE api_key SET last_used = at WHERE municipality = wanted_municipality AND id = wanted
$$;

CREATE FUNCTION account(wanted text, at timestamptz)
RETURNS TABLE (municipality integer, person integer, access integer, password_hash text,
               second_factor bytea, last_step bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p.municipality, p.id, a.id, p.password_hash, f.secret, f.last_step
    FROM person p
    JOIN access a ON a.municipality = p.municipality AND a.person = p.id
    LEFT JOIN second_factor f ON f.municipality = p.municipality AND f.person = p.id
    WHERE p.login = wanted AND p.password_hash IS NOT NULL
      AND (a.until IS NULL OR a.until > at) AND (p.left_on IS NULL OR p.left_on > at)
    ORDER BY a.id LIMIT 1
$$;

CREATE FUNCTION take_step(wanted_municipality integer, wanted_person integer, step bigint)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH taken AS (
        UPDATE second_factor SET last_step = step
        WHERE municipality = wanted_municipality AND person = wanted_person AND last_step < step
        RETURNING 1)
    SELECT EXISTS (SELECT FROM taken)
$$;
COMMENT ON FUNCTION take_step IS 'whether a code of this step opens: of two that come at once, one';

CREATE FUNCTION open_session(cookie bytea, wanted_municipality integer, wanted_access integer,
                             way text, at timestamptz, end_at timestamptz, idle_since timestamptz,
                             broken_glass boolean)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM session WHERE expires <= at OR seen <= idle_since;
    WITH opened AS (
        INSERT INTO session (hash, municipality, access, person, how, created, seen, expires)
        SELECT cookie, a.municipality, a.id, a.person, way, at, at, end_at
        FROM access a JOIN person p ON p.municipality = a.municipality AND p.id = a.person
        WHERE a.municipality = wanted_municipality AND a.id = wanted_access
          AND (a.until IS NULL OR a.until > at) AND (p.left_on IS NULL OR p.left_on > at)
        RETURNING municipality, access, person),
    broken AS (
        INSERT INTO break_glass (municipality, person, at)
        SELECT o.municipality, o.person, at FROM opened o WHERE broken_glass)
    INSERT INTO access_log (municipality, at, person, role, what)
    SELECT o.municipality, at, o.person, a.role,
           CASE WHEN broken_glass THEN 'signed.in.break_glass' ELSE 'signed.in' END
    FROM opened o JOIN access a ON a.municipality = o.municipality AND a.id = o.access
$$;

CREATE FUNCTION close_session(cookie bytea) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM session WHERE hash = cookie
$$;

CREATE FUNCTION rotate_key(wanted uuid, secret bytea, at timestamptz, old_until timestamptz,
                           end_at timestamptz)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH rotated AS (
        UPDATE api_key SET old_hash = hash, old_expires = least(expires, old_until),
                           hash = secret, expires = end_at
        WHERE public = wanted AND municipality = my_municipality() AND my_level('key') = 3
          AND (my_districts() IS NULL OR districts <@ my_districts())
          AND expires > at AND (ended IS NULL OR ended > at)
        RETURNING 1)
    SELECT EXISTS (SELECT FROM rotated)
$$;
COMMENT ON FUNCTION rotate_key IS 'a function, for the API may not read the hash that becomes the old one';

CREATE FUNCTION name_person(wanted_municipality integer, wanted_person integer, shown text)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO identity.person (municipality, person, name)
    SELECT p.municipality, p.id, shown FROM person p
    WHERE p.municipality = wanted_municipality AND p.id = wanted_person AND p.issuer IS NOT NULL
    ON CONFLICT (municipality, person) DO UPDATE SET name = excluded.name
$$;
COMMENT ON FUNCTION name_person IS 'only of who signs in by the provider, which says how they are called now';

CREATE FUNCTION begin_login(wanted bytea, of_browser bytea, once text, proof text,
                            at timestamptz, end_at timestamptz)
RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM oidc_login WHERE expires <= at;
    INSERT INTO oidc_login (state, browser, nonce, verifier, expires)
    VALUES (wanted, of_browser, once, proof, end_at)
$$;

CREATE FUNCTION take_login(wanted bytea, at timestamptz)
RETURNS TABLE (browser bytea, nonce text, verifier text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    DELETE FROM oidc_login o WHERE o.state = wanted AND o.expires > at
    RETURNING o.browser, o.nonce, o.verifier
$$;
COMMENT ON FUNCTION take_login IS 'out it goes, whatever comes of it: of two that ask at once, one has it';

CREATE FUNCTION granted_by(place integer, claims text[], vals text[])
RETURNS TABLE (role text, districts integer[])
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT o.role,
           CASE WHEN bool_and(o.districts IS NOT NULL) THEN array_agg(DISTINCT d.one) END
    FROM oidc_mapping o
    JOIN unnest(claims, vals) AS c (claim, value) ON c.claim = o.claim AND c.value = o.value
    LEFT JOIN LATERAL unnest(o.districts) AS d (one) ON true
    WHERE o.municipality = place GROUP BY o.role
$$;
COMMENT ON FUNCTION granted_by IS 'the roles that these claims give; of several lines for one role the districts are added up';

CREATE FUNCTION enter_by_provider(home text, provider text, who text, wanted_login text,
                                  claims text[], vals text[], at timestamptz)
RETURNS TABLE (municipality integer, person integer, access integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    place integer;
    found person;
BEGIN
    SELECT m.id INTO place FROM municipality m WHERE m.name = home;
    IF EXISTS (SELECT FROM granted_by(place, claims, vals)) THEN
        -- Never joined to an account by login or address: whoever may choose theirs would own it.
        INSERT INTO person (municipality, login, issuer, subject)
        SELECT place,
               CASE WHEN EXISTS (SELECT FROM person p WHERE p.login = wanted_login)
                    THEN wanted_login || '~' || left(md5(provider || ' ' || who), 8)
                    ELSE wanted_login END, provider, who
        WHERE NOT EXISTS (SELECT FROM person p WHERE p.issuer = provider AND p.subject = who)
        ON CONFLICT DO NOTHING;
    END IF;
    SELECT p.* INTO found FROM person p WHERE p.issuer = provider AND p.subject = who FOR UPDATE;
    IF found.id IS NULL OR found.municipality IS DISTINCT FROM place OR found.left_on <= at THEN
        RETURN;
    END IF;
    UPDATE access a SET until = at
    WHERE a.municipality = place AND a.person = found.id AND a.until IS NULL
      AND a.role NOT IN (SELECT g.role FROM granted_by(place, claims, vals) g);
    INSERT INTO access (municipality, person, role, districts)
    SELECT place, found.id, g.role, g.districts FROM granted_by(place, claims, vals) g
    ON CONFLICT (municipality, person, role)
        DO UPDATE SET districts = excluded.districts, until = NULL;
    RETURN QUERY
        SELECT a.municipality, a.person, a.id FROM access a
        WHERE a.municipality = place AND a.person = found.id AND a.until IS NULL
        ORDER BY a.id LIMIT 1;
END
$$;
COMMENT ON FUNCTION enter_by_provider IS 'the provider''s word is all there is: roles it no longer gives end here, with their sessions';

REVOKE EXECUTE ON FUNCTION caller_by_session, caller_by_key, session_seen, key_used, account,
    take_step, open_session, close_session, rotate_key, name_person, begin_login, take_login,
    granted_by, enter_by_provider
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION caller_by_session, caller_by_key, session_seen, key_used, account,
    take_step, open_session, close_session, rotate_key, name_person, begin_login, take_login,
    enter_by_provider
    TO trygport_api;
