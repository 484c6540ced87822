-- A municipality's register: its own ids for homes and citizens, who gave a placement its legal
-- basis, what each import made and changed, and placements that were moved to their right citizen.

ALTER TABLE identity.citizen ADD COLUMN relatives text NOT NULL DEFAULT '';
COMMENT ON TABLE identity.citizen IS 'every text is sealed (gateway/store/seal.py); the key is not in the database';
COMMENT ON TABLE identity.person IS 'every text is sealed (gateway/store/seal.py); the key is not in the database';

ALTER TABLE district ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE team ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE person ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE home
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN reference text,
    ADD CONSTRAINT home_reference UNIQUE (municipality, reference);
ALTER TABLE citizen
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN reference text,
    ADD CONSTRAINT citizen_reference UNIQUE (municipality, reference);
COMMENT ON COLUMN citizen.reference IS 'the municipality''s own id; never a CPR number';
COMMENT ON COLUMN citizen.version IS 'of the citizen and of identity.citizen: what an ETag tells';
GRANT SELECT (version), UPDATE (version) ON person TO trygport_api;

ALTER TABLE placement ADD COLUMN legal_basis text
    CHECK (legal_basis IN ('consent', 'sel_128a', 'sel_128b', 'elder_act', 'sul_138'));
COMMENT ON COLUMN placement.legal_basis IS 'consent, Serviceloven §128 a or b, Ældreloven, SUL §138; null: placed before it was asked';

-- ---------------------------------------------------------------- imports

CREATE TABLE import (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL,
    person integer,
    digest bytea NOT NULL,
    rows jsonb NOT NULL,
    undone timestamptz,
    undone_by integer,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id),
    FOREIGN KEY (municipality, undone_by) REFERENCES person (municipality, id)
);
COMMENT ON COLUMN import.person IS 'null: by the command';
COMMENT ON COLUMN import.rows IS 'each row of the file: line, state, column and reason; nothing of what stood in it';

CREATE TABLE import_change (
    municipality integer NOT NULL,
    import integer NOT NULL,
    position integer NOT NULL,
    line integer NOT NULL,
    thing text NOT NULL CHECK (thing IN ('home', 'citizen', 'identity', 'edge', 'device', 'placement')),
    row integer NOT NULL,
    before jsonb,
    after jsonb NOT NULL,
    PRIMARY KEY (municipality, import, position),
    FOREIGN KEY (municipality, import) REFERENCES import (municipality, id)
);
CREATE INDEX import_change_row ON import_change (municipality, thing, row);
COMMENT ON TABLE import_change IS 'what an import made (before is null) or changed: what undoing it needs; identity stays sealed';

ALTER TABLE import ENABLE ROW LEVEL SECURITY;
ALTER TABLE import_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY import_own ON import TO trygport_api
    USING (municipality = my_municipality() AND my_level('citizen') = 3);
CREATE POLICY import_change_own ON import_change TO trygport_api
    USING (municipality = my_municipality() AND my_level('citizen') = 3);
GRANT SELECT, INSERT, UPDATE (undone, undone_by) ON import TO trygport_api;
GRANT SELECT, INSERT ON import_change TO trygport_api;

-- Its password and secret are not for the API to see; that it has one is.
CREATE FUNCTION edge_in_use(number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.broker_password IS NOT NULL OR e.join_hash IS NOT NULL FROM edge e
    WHERE e.municipality = my_municipality() AND e.id = number
$$;
COMMENT ON FUNCTION edge_in_use IS 'false for a box that was ended; null for one of another municipality';
REVOKE EXECUTE ON FUNCTION edge_in_use FROM PUBLIC;
GRANT EXECUTE ON FUNCTION edge_in_use TO trygport_api;

-- What an import made, and nothing else, may be taken away again.
CREATE FUNCTION made_by_import(wanted text, whose integer, number integer) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (SELECT FROM import_change c JOIN import i ON i.municipality = c.municipality AND i.id = c.import
               WHERE c.municipality = whose AND c.thing = wanted AND c.row = number
                 AND c.before IS NULL AND i.undone IS NULL);
GRANT DELETE ON home, citizen, identity.citizen, edge, device, placement, deadline TO trygport_api;
CREATE POLICY home_taken_back ON home AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('home', municipality, id));
CREATE POLICY citizen_taken_back ON citizen AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('citizen', municipality, id));
CREATE POLICY identity_citizen_taken_back ON identity.citizen AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('identity', municipality, citizen));
CREATE POLICY edge_taken_back ON edge AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('edge', municipality, id));
CREATE POLICY device_taken_back ON device AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('device', municipality, id));
CREATE POLICY placement_taken_back ON placement AS RESTRICTIVE FOR DELETE TO trygport_api
    USING (made_by_import('placement', municipality, id));

-- ---------------------------------------------------------------- the wrong citizen

CREATE TABLE placement_repair (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    placement integer NOT NULL,
    was integer NOT NULL,
    became integer NOT NULL,
    reason text NOT NULL,
    person integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, placement) REFERENCES placement (municipality, id),
    FOREIGN KEY (municipality, was) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, became) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id),
    CHECK (was <> became)
);
COMMENT ON TABLE placement_repair IS 'a placement spoke for the wrong citizen, from its beginning; append-only';
ALTER TABLE placement_repair ENABLE ROW LEVEL SECURITY;
CREATE POLICY placement_repair_own ON placement_repair TO trygport_api
    USING (municipality = my_municipality() AND my_level('placement') >= 2)
    WITH CHECK (municipality = my_municipality() AND my_level('placement') = 3);
GRANT SELECT, INSERT ON placement_repair TO trygport_api;
