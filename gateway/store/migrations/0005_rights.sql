-- Who may see what, kept by the database: a forgotten filter in a program shows nothing.
--
-- The API says at the beginning of every transaction for whom it asks, in settings that end with
-- the transaction (gateway/store/asking.py). Policies read these settings, never current_user. A
-- setting that was not made is NULL, and one that ended with its transaction is empty: both mean
-- nobody, and nobody sees nothing.

CREATE FUNCTION my_municipality() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.municipality', true), '')::integer;

CREATE FUNCTION my_person() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.person', true), '')::integer;

CREATE FUNCTION my_access() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.access', true), '')::integer;

CREATE FUNCTION my_role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.role', true), '');

CREATE FUNCTION my_districts() RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.districts', true), '')::integer[];
COMMENT ON FUNCTION my_districts IS 'null: every district of my_municipality()';

CREATE FUNCTION my_purpose() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE(current_setting('trygport.purpose', true), '');

CREATE FUNCTION my_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.now', true), '')::timestamptz;
COMMENT ON FUNCTION my_now IS 'the Clock''s time when the question was asked, never the server''s';

CREATE FUNCTION my_classes() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('trygport.classes', true), '')::text[];
COMMENT ON FUNCTION my_classes IS 'the classes of data that a key is confined to; null: all that the role has';

CREATE TABLE role_right (
    role text NOT NULL,
    class text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 3),
    PRIMARY KEY (role, class)
);
COMMENT ON TABLE role_right IS 'written by `gateway migrate` from gateway/store/rights.py: one table for policies, routes and page';
COMMENT ON COLUMN role_right.level IS '0 nothing, 1 pseudonym (ids), 2 reading, 3 all (read and written)';
GRANT SELECT ON role_right TO trygport_api, trygport_reader;

CREATE FUNCTION my_level(wanted text) RETURNS smallint LANGUAGE sql STABLE PARALLEL SAFE
RETURN COALESCE((SELECT r.level FROM role_right r
                 WHERE r.role = my_role() AND r.class = wanted
                   AND (my_classes() IS NULL OR wanted = ANY (my_classes()))), 0);
