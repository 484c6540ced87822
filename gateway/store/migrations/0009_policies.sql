-- The policies: what each caller of the API sees and changes, whatever a program asks for.
--
-- my_municipality(), my_person(), … and my_level('class') are of 0005. A question about a citizen
-- leads to the policy of `citizen`, which alone knows of districts and of emergencies: whoever may
-- not see the citizen sees nothing that hangs on them. `(SELECT my_level(…))` is asked once a
-- statement, not once a row. The owner (migrations, the commands of an administrator) is not
-- confined; ingest, watch and notify work for every municipality and are confined by their grants.

CREATE FUNCTION my_district(district integer) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN my_districts() IS NULL OR district = ANY (my_districts());

-- ---------------------------------------------------------------- emergency opening

CREATE TABLE emergency (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    person integer NOT NULL,
    role text NOT NULL,
    citizen integer NOT NULL,
    district integer NOT NULL,
    reason text NOT NULL CHECK (length(reason) >= 10),
    opened timestamptz NOT NULL,
    until timestamptz NOT NULL,
    followed_by integer,
    followed_at timestamptz,
    followed_text text NOT NULL DEFAULT '',
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, district) REFERENCES district (municipality, id),
    FOREIGN KEY (municipality, followed_by) REFERENCES person (municipality, id),
    CHECK ((followed_by IS NULL) = (followed_at IS NULL))
);
COMMENT ON TABLE emergency IS 'a citizen outside one''s districts, opened for an hour with a reason; their leader looks at each afterwards';
CREATE INDEX emergency_person ON emergency (municipality, person, until DESC);
CREATE INDEX emergency_open ON emergency (municipality, id) WHERE followed_at IS NULL;
GRANT SELECT, UPDATE (followed_by, followed_at, followed_text) ON emergency TO trygport_api;
GRANT SELECT (municipality, person, role, citizen, until) ON emergency TO trygport_reader;

CREATE POLICY own ON emergency FOR SELECT TO trygport_api, trygport_reader
    USING (municipality = my_municipality() AND person = my_person());
CREATE POLICY led ON emergency FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('log')) >= 2
           AND my_district(district));
CREATE POLICY followed ON emergency FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('emergency')) >= 2
           AND (SELECT my_level('log')) >= 2 AND my_district(district)
           AND person <> my_person())
    WITH CHECK (municipality = my_municipality() AND followed_by = my_person());

-- The citizen is not to be seen before: so this is a function, and it decides who may open.
CREATE FUNCTION open_emergency(wanted uuid, why text, at timestamptz, end_at timestamptz)
RETURNS TABLE (public uuid, citizen integer)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    INSERT INTO emergency (municipality, person, role, citizen, district, reason, opened, until)
    SELECT c.municipality, my_person(), my_role(), c.id, c.district, why, at,
           least(end_at, at + interval '60 minutes')
    FROM citizen c
    WHERE c.municipality = my_municipality() AND c.public = wanted
      AND my_level('emergency') = 3 AND my_classes() IS NULL
    RETURNING public, citizen
$$;

-- ---------------------------------------------------------------- who and where

CREATE POLICY seen ON municipality FOR SELECT TO trygport_api USING (id = my_municipality());
CREATE POLICY changed ON municipality FOR UPDATE TO trygport_api
    USING (id = my_municipality() AND (SELECT my_level('access')) = 3 AND my_districts() IS NULL);
REVOKE INSERT ON municipality FROM trygport_api;

CREATE POLICY seen ON district FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND my_district(id));
CREATE POLICY made ON district FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('access')) = 3
                AND my_districts() IS NULL);
CREATE POLICY changed ON district FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND my_district(id));

CREATE POLICY seen ON citizen FOR SELECT TO trygport_api, trygport_reader
    USING (municipality = my_municipality() AND (SELECT my_level('citizen')) >= 1
           AND (my_district(district)
                OR EXISTS (SELECT FROM emergency e
                           WHERE e.municipality = citizen.municipality AND e.citizen = citizen.id
                             AND e.person = my_person() AND e.role = my_role()
                             AND e.until > my_now())));
CREATE POLICY made ON citizen FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('citizen')) = 3
                AND my_district(district));
CREATE POLICY changed ON citizen FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('citizen')) = 3
           AND my_district(district));
GRANT SELECT (municipality, id, district) ON citizen TO trygport_reader;

CREATE POLICY seen ON home FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('home')) >= 2
           AND (my_district(district)
                OR EXISTS (SELECT FROM citizen c
                           WHERE c.municipality = home.municipality AND c.home = home.id)));
CREATE POLICY made ON home FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('home')) = 3
                AND my_district(district));
CREATE POLICY changed ON home FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('home')) = 3
           AND my_district(district));

-- Who registers a citizen writes the name without having to be able to read names.
CREATE POLICY seen ON identity.citizen FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('identity')) >= 2
           AND EXISTS (SELECT FROM public.citizen c
                       WHERE c.municipality = identity.citizen.municipality
                         AND c.id = identity.citizen.citizen));
CREATE POLICY made ON identity.citizen FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('citizen')) = 3
                AND EXISTS (SELECT FROM public.citizen c
                            WHERE c.municipality = identity.citizen.municipality
                              AND c.id = identity.citizen.citizen));
CREATE POLICY changed ON identity.citizen FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('identity')) = 3
           AND EXISTS (SELECT FROM public.citizen c
                       WHERE c.municipality = identity.citizen.municipality
                         AND c.id = identity.citizen.citizen));

CREATE POLICY seen ON team FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) >= 1
           AND my_district(district));
CREATE POLICY made ON team FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('access')) = 3
                AND my_district(district));
CREATE POLICY changed ON team FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND my_district(district));

CREATE POLICY seen ON shift FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) >= 1
           AND EXISTS (SELECT FROM team t
                       WHERE t.municipality = shift.municipality AND t.id = shift.team));
CREATE POLICY made ON shift FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('access')) = 3
                AND EXISTS (SELECT FROM team t
                            WHERE t.municipality = shift.municipality AND t.id = shift.team));
CREATE POLICY changed ON shift FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND EXISTS (SELECT FROM team t
                       WHERE t.municipality = shift.municipality AND t.id = shift.team));

-- ---------------------------------------------------------------- people and their looks

CREATE POLICY seen ON person FOR SELECT TO trygport_api
    USING (municipality = my_municipality()
           AND (id = my_person() OR (SELECT my_level('person')) >= 1));
CREATE POLICY made ON person FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('person')) = 3);
CREATE POLICY changed ON person FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3);

CREATE POLICY seen ON identity.person FOR SELECT TO trygport_api
    USING (municipality = my_municipality()
           AND (person = my_person() OR (SELECT my_level('person')) >= 2));
CREATE POLICY made ON identity.person FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('person')) = 3);
CREATE POLICY changed ON identity.person FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('person')) = 3);

CREATE POLICY seen ON access FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) >= 2);
-- Who is confined to some districts gives nobody others, or all of them (null).
CREATE POLICY made ON access FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('access')) = 3
                AND (my_districts() IS NULL OR districts <@ my_districts()));
CREATE POLICY changed ON access FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('access')) = 3
           AND (my_districts() IS NULL OR districts <@ my_districts()));

-- Everybody writes their own looks and sees them; who keeps watch sees those of their districts.
CREATE POLICY made ON access_log FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND person = my_person());
CREATE POLICY seen ON access_log FOR SELECT TO trygport_api
    USING (municipality = my_municipality()
           AND (person = my_person()
                OR ((SELECT my_level('log')) >= 2
                    AND (my_districts() IS NULL
                         OR EXISTS (SELECT FROM citizen c
                                    WHERE c.municipality = access_log.municipality
                                      AND c.id = access_log.citizen)))));

-- ---------------------------------------------------------------- boxes and devices

CREATE POLICY seen ON edge FOR SELECT TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('signal')) >= 2 OR (SELECT my_level('home')) >= 2)
           AND (home IS NULL OR EXISTS (SELECT FROM home h WHERE h.municipality = edge.municipality
                                          AND h.id = edge.home)));
CREATE POLICY made ON edge FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality()
                AND ((SELECT my_level('signal')) = 3 OR (SELECT my_level('home')) = 3)
                AND (home IS NULL OR EXISTS (SELECT FROM home h
                                             WHERE h.municipality = edge.municipality
                                               AND h.id = edge.home)));
-- What a device is told by its box changes with its placement: the box gets a new version.
CREATE POLICY changed ON edge FOR UPDATE TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('signal')) = 3 OR (SELECT my_level('home')) = 3
                OR (SELECT my_level('placement')) = 3 OR (SELECT my_level('dose_plan')) = 3)
           AND (home IS NULL OR EXISTS (SELECT FROM home h WHERE h.municipality = edge.municipality
                                          AND h.id = edge.home)));
-- Its password and its one-time secret, also as hashes, go through join_edge and broker_accounts.
REVOKE SELECT, INSERT, UPDATE ON edge FROM trygport_api;
GRANT SELECT (municipality, id, name, home, joined, config_version, config_published),
      INSERT (municipality, name, home, join_hash, join_expires),
      UPDATE (home, config_version) ON edge TO trygport_api;

CREATE FUNCTION join_edge(wanted text, secret bytea, at timestamptz, password text)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    WITH joined AS (
        UPDATE edge SET join_hash = NULL, join_expires = NULL, joined = at,
                        broker_password = password
        WHERE name = wanted AND join_hash = secret AND join_expires > at
        RETURNING 1)
    SELECT EXISTS (SELECT FROM joined)
$$;
COMMENT ON FUNCTION join_edge IS 'a box has no caller: its secret is its right';
CREATE FUNCTION broker_accounts() RETURNS TABLE (name text, broker_password text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.name, e.broker_password FROM edge e
    WHERE e.broker_password IS NOT NULL ORDER BY e.name
$$;
COMMENT ON FUNCTION broker_accounts IS 'every box''s account as the broker''s file has it, in Mosquitto''s hash form';

CREATE POLICY seen ON contact FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) >= 2
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = contact.municipality AND e.id = contact.edge));
CREATE POLICY seen ON edge_card FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) >= 2
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = edge_card.municipality AND e.id = edge_card.edge));
CREATE POLICY seen ON stream FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) >= 2
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = stream.municipality AND e.id = stream.edge));

CREATE POLICY seen ON placement FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('placement')) >= 2
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                         AND c.id = placement.citizen));
-- What placed_observation shows: its owner is the reader, and the caller's settings still hold.
CREATE POLICY observed ON placement FOR SELECT TO trygport_reader
    USING (municipality = my_municipality() AND (SELECT my_level('observation')) >= 2
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                         AND c.id = placement.citizen));
CREATE POLICY made ON placement FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('placement')) = 3
                AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                              AND c.id = placement.citizen));
-- Who plans doses may lock the placement; who may not write placements changes nothing in it.
CREATE POLICY changed ON placement FOR UPDATE TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('placement')) = 3 OR (SELECT my_level('dose_plan')) = 3)
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                         AND c.id = placement.citizen))
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('placement')) = 3
                AND EXISTS (SELECT FROM citizen c WHERE c.municipality = placement.municipality
                              AND c.id = placement.citizen));

-- Three things about a device that a caller must be told although they may lie in a district that
-- is not theirs; each tells no more than that.
CREATE FUNCTION is_placed(wanted integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM placement p WHERE p.municipality = my_municipality()
                     AND p.device = wanted AND p."to" IS NULL)
$$;
CREATE FUNCTION placed_until(wanted integer, since timestamptz) RETURNS SETOF timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT p."to" FROM placement p
    WHERE p.municipality = my_municipality() AND p.device = wanted
      AND (p."to" IS NULL OR p."to" > since)
    ORDER BY p."from" DESC LIMIT 1
$$;
COMMENT ON FUNCTION placed_until IS 'no row: nothing in the way since then; null: placed now; else when the last placement ended';
CREATE FUNCTION last_call(wanted integer, kinds smallint[]) RETURNS timestamptz
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT max(o.occurred) FROM placement p
    JOIN observation o ON o.device = p.device AND o.occurred >= p."from"
                      AND (p."to" IS NULL OR o.occurred < p."to")
    WHERE p.municipality = my_municipality() AND p.id = wanted AND p.role = 'call'
      AND o.kind = ANY (kinds)
$$;
COMMENT ON FUNCTION last_call IS 'when it last called for help: no end of a placement is put before it, also by who sees no observations';

CREATE POLICY seen ON device FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) >= 2
           AND (EXISTS (SELECT FROM placement p
                        WHERE p.municipality = device.municipality AND p.device = device.id)
                OR ((SELECT my_level('device')) = 3 AND NOT is_placed(id))));
CREATE POLICY made ON device FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('device')) = 3);
CREATE POLICY changed ON device FOR UPDATE TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('device')) = 3 OR (SELECT my_level('placement')) = 3));

CREATE POLICY seen ON device_secret FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) >= 2
           AND EXISTS (SELECT FROM device d WHERE d.municipality = device_secret.municipality
                         AND d.id = device_secret.device));
CREATE POLICY made ON device_secret FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('device')) = 3
                AND EXISTS (SELECT FROM device d WHERE d.municipality = device_secret.municipality
                              AND d.id = device_secret.device));
CREATE POLICY changed ON device_secret FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) = 3
           AND EXISTS (SELECT FROM device d WHERE d.municipality = device_secret.municipality
                         AND d.id = device_secret.device));

-- That frames of a device were set aside, and why; never their bytes.
CREATE POLICY seen ON quarantine FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) >= 2
           AND EXISTS (SELECT FROM device d WHERE d.municipality = quarantine.municipality
                         AND d.address = quarantine.device));
REVOKE SELECT ON quarantine FROM trygport_api;
GRANT SELECT (municipality, device, sequence, state, reason, last_at) ON quarantine TO trygport_api;

CREATE POLICY seen ON dose_plan FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('dose_plan')) >= 2
           AND EXISTS (SELECT FROM placement p WHERE p.municipality = dose_plan.municipality
                         AND p.id = dose_plan.placement));
CREATE POLICY made ON dose_plan FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality()
                AND ((SELECT my_level('dose_plan')) = 3 OR (SELECT my_level('placement')) = 3)
                AND EXISTS (SELECT FROM placement p WHERE p.municipality = dose_plan.municipality
                              AND p.id = dose_plan.placement));
CREATE POLICY changed ON dose_plan FOR UPDATE TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('dose_plan')) = 3 OR (SELECT my_level('placement')) = 3)
           AND EXISTS (SELECT FROM placement p WHERE p.municipality = dose_plan.municipality
                         AND p.id = dose_plan.placement));
CREATE POLICY seen ON dose_plan_slot FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('dose_plan')) >= 2
           AND EXISTS (SELECT FROM dose_plan p WHERE p.municipality = dose_plan_slot.municipality
                         AND p.id = dose_plan_slot.plan));
CREATE POLICY made ON dose_plan_slot FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality()
                AND ((SELECT my_level('dose_plan')) = 3 OR (SELECT my_level('placement')) = 3)
                AND EXISTS (SELECT FROM dose_plan p
                            WHERE p.municipality = dose_plan_slot.municipality
                              AND p.id = dose_plan_slot.plan));

-- Who changes what a rule reads has the citizen judged anew.
CREATE POLICY judged ON deadline TO trygport_api
    USING (municipality = my_municipality()
           AND ((SELECT my_level('placement')) = 3 OR (SELECT my_level('dose_plan')) = 3)
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = deadline.municipality
                         AND c.id = deadline.citizen));

-- ---------------------------------------------------------------- alerts

CREATE POLICY seen ON alert FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('alert')) >= 2
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = alert.municipality
                         AND c.id = alert.citizen));
CREATE POLICY changed ON alert FOR UPDATE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('alert')) = 3
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = alert.municipality
                         AND c.id = alert.citizen));
CREATE POLICY seen ON finding FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('alert')) >= 2
           AND EXISTS (SELECT FROM citizen c WHERE c.municipality = finding.municipality
                         AND c.id = finding.citizen));
CREATE POLICY seen ON alert_move FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('alert')) >= 2
           AND EXISTS (SELECT FROM alert a WHERE a.municipality = alert_move.municipality
                         AND a.id = alert_move.alert));
CREATE POLICY made ON alert_move FOR INSERT TO trygport_api
    WITH CHECK (municipality = my_municipality() AND (SELECT my_level('alert')) = 3
                AND person = my_person()
                AND EXISTS (SELECT FROM alert a WHERE a.municipality = alert_move.municipality
                              AND a.id = alert_move.alert));
CREATE POLICY seen ON notice FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('alert')) >= 2
           AND EXISTS (SELECT FROM alert a WHERE a.municipality = notice.municipality
                         AND a.id = notice.alert));
REVOKE INSERT ON notice FROM trygport_api;

CREATE POLICY seen ON rule FOR SELECT TO trygport_api USING (municipality = my_municipality());
CREATE POLICY seen ON rule_version FOR SELECT TO trygport_api
    USING (municipality = my_municipality());

-- Whom an announcement concerns, so that only those ask who might see it.
CREATE FUNCTION whose_alerts(wanted uuid[]) RETURNS TABLE (municipality integer, alert uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT a.municipality, a.public FROM municipality m
    JOIN alert a ON a.municipality = m.id AND a.public = ANY (wanted)
$$;

-- ---------------------------------------------------------------- what the API has no use for

REVOKE SELECT ON store, watched, pending, device_record, unplaced_call, migration FROM trygport_api;

REVOKE EXECUTE ON FUNCTION open_emergency, join_edge, broker_accounts, is_placed, placed_until,
    last_call, whose_alerts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION open_emergency, join_edge, broker_accounts, is_placed, placed_until,
    last_call, whose_alerts TO trygport_api;

-- ---------------------------------------------------------------- taken back

-- 0008 says which rows may be taken away at all: those that an import made.
CREATE POLICY taken ON home FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('home')) = 3
           AND my_district(district));
CREATE POLICY taken ON citizen FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('citizen')) = 3
           AND my_district(district));
CREATE POLICY taken ON identity.citizen FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('identity')) = 3);
CREATE POLICY taken ON edge FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('home')) = 3);
CREATE POLICY taken ON device FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('device')) = 3);
CREATE POLICY taken ON placement FOR DELETE TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('placement')) = 3);

-- What an import brought, and which citizen a placement was first given, are of districts too.
ALTER POLICY import_own ON import
    USING (municipality = my_municipality() AND my_level('citizen') = 3
           AND (my_districts() IS NULL OR person = my_person()));
ALTER POLICY import_change_own ON import_change
    USING (municipality = my_municipality() AND my_level('citizen') = 3
           AND EXISTS (SELECT FROM import i WHERE i.municipality = import_change.municipality
                         AND i.id = import_change.import));
ALTER POLICY placement_repair_own ON placement_repair
    USING (municipality = my_municipality() AND my_level('placement') >= 2
           AND EXISTS (SELECT FROM placement p WHERE p.municipality = placement_repair.municipality
                         AND p.id = placement_repair.placement));

-- ---------------------------------------------------------------- on, everywhere

ALTER TABLE municipality ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    confined regclass;
BEGIN
    FOR confined IN
        SELECT c.oid FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'municipality'
        WHERE c.relkind = 'r' AND c.relnamespace IN ('public'::regnamespace, 'identity'::regnamespace)
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', confined);
    END LOOP;
    FOR confined IN
        SELECT c.oid FROM pg_class c
        WHERE c.relkind = 'r' AND c.relrowsecurity AND c.relnamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('CREATE POLICY stages ON %s TO trygport_ingest, trygport_watch, '
                       'trygport_notify USING (true)', confined);
    END LOOP;
END
$$;
