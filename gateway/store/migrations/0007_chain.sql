-- The access log is append-only, and its rows are linked into one chain of hashes a municipality.
--
-- A row is committed with the look or the change that it tells of, and holds no lock that another
-- request waits for. Linking comes just after, in batches, by whoever holds one advisory lock: a
-- chain linked inside the request lets one request at a time commit (deploy/decisions/log.md).

ALTER TABLE access_log DROP COLUMN previous, DROP COLUMN hash;
-- Who asks for what, as its transaction says it; a row whose writer has no purpose of its own.
ALTER TABLE access_log ALTER COLUMN purpose SET DEFAULT my_purpose();
DROP INDEX access_log_citizen;
CREATE INDEX access_log_citizen ON access_log (municipality, citizen, at DESC, id DESC);
CREATE INDEX access_log_person ON access_log (municipality, person, at DESC, id DESC);

CREATE TABLE access_waiting (
    entry bigint NOT NULL,
    municipality integer NOT NULL,
    PRIMARY KEY (entry, municipality)
);
COMMENT ON TABLE access_waiting IS 'rows of access_log that are not linked yet: put here with them, by a trigger';

CREATE TABLE access_link (
    municipality integer NOT NULL,
    position bigint NOT NULL CHECK (position > 0),
    entry bigint NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (municipality, position),
    UNIQUE (municipality, entry)
);
COMMENT ON TABLE access_link IS 'hash = sha256(previous || log_bytes(row)); positions without gaps; no foreign key, whose row locks would rewrite the log';
INSERT INTO access_waiting (entry, municipality) SELECT id, municipality FROM access_log;

-- No stage reads or writes these: the functions below do.
ALTER TABLE access_waiting ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_link ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION log_waits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO public.access_waiting (entry, municipality) SELECT id, municipality FROM new_rows;
    RETURN NULL;
END
$$;
CREATE TRIGGER waits AFTER INSERT ON access_log
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_waits();

CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the access log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION refuse_change IS 'also for the owner; a migration that must may disable the trigger in its own transaction';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access_link
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A row as bytes that no other row has: every field as its length, a colon and its text, an absent
-- one as a minus. gateway/store/chain.py says the same in Python.
CREATE FUNCTION log_field(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(octet_length(word)::text || ':' || word, '-');

CREATE FUNCTION log_bytes(entry access_log) RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN convert_to(
        log_field(entry.municipality::text) || log_field(entry.id::text)
        || log_field((extract(epoch FROM entry.at) * 1000000)::bigint::text)
        || log_field(entry.person::text) || log_field(entry.role) || log_field(entry.citizen::text)
        || log_field(entry.what) || log_field(entry.purpose), 'UTF8');
END
$$;

CREATE FUNCTION link_log(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    one access_log;
    whose integer;
    place bigint;
    before bytea;
    linked integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('trygport access_link', 0)) THEN
        RETURN -1;  -- another gateway is linking
    END IF;
    FOR one IN
        SELECT batch.* FROM (
            SELECT l.* FROM access_waiting w
            JOIN access_log l ON l.municipality = w.municipality AND l.id = w.entry
            ORDER BY w.entry LIMIT most) AS batch
        ORDER BY batch.municipality, batch.id
    LOOP
        IF whose IS DISTINCT FROM one.municipality THEN
            whose := one.municipality;
            SELECT k.position, k.hash INTO place, before FROM access_link k
            WHERE k.municipality = whose ORDER BY k.position DESC LIMIT 1;
            IF NOT FOUND THEN
                place := 0;
                before := decode(repeat('00', 32), 'hex');
            END IF;
        END IF;
        place := place + 1;
        INSERT INTO access_link (municipality, position, entry, previous, hash)
        VALUES (whose, place, one.id, before, sha256(before || log_bytes(one)))
        RETURNING hash INTO before;
        DELETE FROM access_waiting w WHERE w.entry = one.id AND w.municipality = whose;
        linked := linked + 1;
    END LOOP;
    RETURN linked;
END
$$;
COMMENT ON FUNCTION link_log IS 'links what is committed and waits, the oldest first; how many rows, or -1 when another is at it';

CREATE FUNCTION log_heads() RETURNS TABLE (municipality uuid, "position" bigint, hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT m.public, k.position, k.hash FROM municipality m
    CROSS JOIN LATERAL (
        SELECT l.position, l.hash FROM access_link l
        WHERE l.municipality = m.id ORDER BY l.position DESC LIMIT 1) AS k
    ORDER BY m.id
$$;
COMMENT ON FUNCTION log_heads IS 'the last link of each municipality, to be published outside the database';

REVOKE EXECUTE ON FUNCTION log_waits, refuse_change, log_field, log_bytes, link_log, log_heads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION link_log, log_heads TO trygport_api;
