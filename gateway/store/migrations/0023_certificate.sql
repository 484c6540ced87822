-- Boxes have certificates of our own authority, and join with a code that is shown once.
--
-- The secret of a code is looked up by its digest: it names the box. The stage `edges` alone signs;
-- the API and the commands only say who may ask, and who is shut out.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'trygport_edges') THEN
        CREATE ROLE trygport_edges LOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- two databases of one cluster migrated at the same moment
END
$$;

CREATE TABLE authority (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint text NOT NULL CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    address text NOT NULL CHECK (length(address) BETWEEN 3 AND 260),
    at timestamptz NOT NULL
);
COMMENT ON TABLE authority IS 'what a code says of us: written by the stage edges, which alone has the keys';
COMMENT ON COLUMN authority.fingerprint IS 'SHA-256 of the root certificate (DER)';
COMMENT ON COLUMN authority.address IS 'HOST:PORT of the boxes'' HTTPS, as boxes reach it';
GRANT SELECT, INSERT, UPDATE ON authority TO trygport_edges;
GRANT SELECT ON authority TO trygport_api;

-- ---------------------------------------------------------------- the box

ALTER TABLE edge
    ADD COLUMN sticker text CHECK (length(sticker) BETWEEN 1 AND 60),
    ADD COLUMN claim bytea UNIQUE,
    ADD COLUMN claim_expires timestamptz,
    ADD COLUMN claimed timestamptz,
    ADD COLUMN replaces integer,
    ADD COLUMN shut_out timestamptz,
    ADD COLUMN broker_told timestamptz,
    ADD CHECK ((claim IS NULL) = (claim_expires IS NULL)),
    ADD FOREIGN KEY (municipality, replaces) REFERENCES edge (municipality, id);
COMMENT ON COLUMN edge.sticker IS 'what stands on its carton, where somebody told it';
COMMENT ON COLUMN edge.claim IS 'SHA-256 of the secret of its newest code; kept after use, so that a lost answer can be asked for again';
COMMENT ON COLUMN edge.claimed IS 'when that code was used';
COMMENT ON COLUMN edge.replaces IS 'the box in whose place this one stands';
COMMENT ON COLUMN edge.shut_out IS 'since when it may not connect: lost, stolen or replaced';
COMMENT ON COLUMN edge.broker_told IS 'when the broker had been given a list that shuts it out';
-- until now a box was ended by taking away both its account and its secret
UPDATE edge SET shut_out = COALESCE(joined, 'epoch'), broker_told = COALESCE(joined, 'epoch')
WHERE broker_password IS NULL AND join_hash IS NULL;
CREATE UNIQUE INDEX edge_sticker ON edge (municipality, sticker) WHERE shut_out IS NULL;
CREATE INDEX edge_shut_out ON edge (shut_out) WHERE shut_out IS NOT NULL;

CREATE TABLE certificate (
    municipality integer NOT NULL,
    edge integer NOT NULL,
    serial text NOT NULL CHECK (serial ~ '^[0-9a-f]{1,40}$'),
    key bytea NOT NULL CHECK (length(key) = 32),
    claim bytea,
    issued timestamptz NOT NULL,
    renew timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    pem text,
    revoked timestamptz,
    reason text CHECK (length(reason) <= 200),
    PRIMARY KEY (municipality, edge, serial),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id) ON DELETE CASCADE,
    CHECK ((revoked IS NULL) = (reason IS NULL))
);
COMMENT ON TABLE certificate IS 'every certificate that a box was given; one that is not here renews nothing';
COMMENT ON COLUMN certificate.serial IS 'in hexadecimal, as openssl writes it';
COMMENT ON COLUMN certificate.key IS 'SHA-256 of its public key (SubjectPublicKeyInfo, DER)';
COMMENT ON COLUMN certificate.claim IS 'the code that it was given for; null for a renewal';
COMMENT ON COLUMN certificate.pem IS 'with that of the issuer; of a box''s newest alone, for an answer that was lost';
CREATE INDEX certificate_serial ON certificate (serial);
CREATE INDEX certificate_revoked ON certificate (expires) WHERE revoked IS NOT NULL;

ALTER TABLE certificate ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (pem) ON certificate TO trygport_edges;
GRANT SELECT (municipality, edge, issued, renew, expires, revoked, reason) ON certificate
    TO trygport_api;
CREATE POLICY stages ON certificate TO trygport_edges USING (true);
CREATE POLICY seen ON certificate FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) >= 2
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = certificate.municipality
                         AND e.id = certificate.edge));

GRANT SELECT (municipality, id, name, joined, claim, claim_expires, claimed, shut_out, broker_told),
      UPDATE (joined, claimed, join_hash, join_expires, broker_password, broker_told)
    ON edge TO trygport_edges;
CREATE POLICY joining ON edge TO trygport_edges USING (true);
GRANT SELECT (sticker, claim_expires, claimed, replaces, shut_out, broker_told),
      INSERT (sticker, claim, claim_expires, replaces) ON edge TO trygport_api;

-- A claim is kept when it is used, so a box of today always has one; older boxes have a password.
CREATE OR REPLACE FUNCTION edge_in_use(number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT e.shut_out IS NULL AND (e.claim IS NOT NULL OR e.broker_password IS NOT NULL
                                   OR e.join_hash IS NOT NULL)
    FROM edge e WHERE e.municipality = my_municipality() AND e.id = number
$$;

-- ---------------------------------------------------------------- who may do what to a box

-- Whoever places devices may change a box's version (0009), and must not shut it out or invite
-- another in its name: that goes through two functions, which ask for the right themselves. The
-- commands of an administrator run as owner and use what these two use.
CREATE FUNCTION is_my_box(whose integer, number integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM edge e LEFT JOIN home h ON h.municipality = e.municipality AND h.id = e.home
        WHERE e.municipality = whose AND e.id = number AND whose = my_municipality()
          AND my_level('signal') = 3 AND (h.id IS NULL OR my_district(h.district)))
$$;

CREATE FUNCTION invite_edge(whose integer, number integer, secret bytea, until timestamptz)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE edge SET claim = secret, claim_expires = until, claimed = NULL
    WHERE municipality = whose AND id = number AND shut_out IS NULL
$$;
COMMENT ON FUNCTION invite_edge IS 'a new code for a box: the one before opens nothing from now on';

CREATE FUNCTION shut_out_edge(whose integer, number integer, at timestamptz, why text)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
    UPDATE certificate SET revoked = at, reason = why
    WHERE municipality = whose AND edge = number AND revoked IS NULL;
    UPDATE contact SET "to" = GREATEST("from", at), ended_by = 'stopped', sure_from = at
    WHERE municipality = whose AND edge = number AND "to" IS NULL;
    INSERT INTO deadline (municipality, citizen, due)
    SELECT c.municipality, c.id, at
    FROM citizen c JOIN edge e ON e.municipality = c.municipality AND e.home = c.home
    WHERE e.municipality = whose AND e.id = number ORDER BY c.id
    ON CONFLICT (municipality, citizen) DO UPDATE SET due = LEAST(deadline.due, excluded.due);
    UPDATE edge SET shut_out = COALESCE(shut_out, at), claim = NULL, claim_expires = NULL,
                    join_hash = NULL, join_expires = NULL, broker_password = NULL, home = NULL,
                    config_version = config_version + 1
    WHERE municipality = whose AND id = number;
$$;
COMMENT ON FUNCTION shut_out_edge IS 'its certificates, its code, its home and its contact are taken away; who lives there is judged anew';

CREATE FUNCTION invite_my_edge(whose integer, number integer, secret bytea, until timestamptz)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT invite_edge(whose, number, secret, until) WHERE is_my_box(whose, number);
    SELECT is_my_box(whose, number)
$$;
CREATE FUNCTION shut_out_my_edge(whose integer, number integer, at timestamptz, why text)
RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT shut_out_edge(whose, number, at, why) WHERE is_my_box(whose, number);
    SELECT is_my_box(whose, number)
$$;
-- A restored database has forgotten who was shut out since its backup; the broker's list has not.
CREATE FUNCTION shut_out_again(serials text[], at timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    box record;
BEGIN
    FOR box IN
        SELECT e.municipality, e.id, e.name FROM edge e
        WHERE e.shut_out IS NULL
          AND EXISTS (SELECT FROM certificate c
                      WHERE c.municipality = e.municipality AND c.edge = e.id
                        AND c.serial = ANY (serials) AND c.revoked IS NULL)
        ORDER BY e.municipality, e.id FOR UPDATE
    LOOP
        PERFORM shut_out_edge(box.municipality, box.id, at, 'on the list of the revoked');
        RETURN NEXT box.name;
    END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION is_my_box, invite_edge, shut_out_edge, invite_my_edge, shut_out_my_edge,
    shut_out_again FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shut_out_again TO trygport_edges;
GRANT EXECUTE ON FUNCTION invite_my_edge, shut_out_my_edge TO trygport_api;
