-- The first schema. Plain forward SQL: what a DBA reads is what runs, inside one transaction.
--
-- Words: design page of the project. Every relational key begins with the municipality, because
-- foreign keys bypass row-level security. Outside ids (`public`) are random; numbers stay inside.

CREATE EXTENSION IF NOT EXISTS timescaledb;

DO $$
DECLARE
    stage text;
BEGIN
    FOREACH stage IN ARRAY ARRAY['trygport_ingest', 'trygport_watch', 'trygport_notify', 'trygport_api']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = stage) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', stage);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'trygport_reader') THEN
        CREATE ROLE trygport_reader NOLOGIN NOBYPASSRLS;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- two databases of one cluster migrated at the same moment
END
$$;

-- ---------------------------------------------------------------- who and where

CREATE TABLE store (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO store DEFAULT VALUES;
COMMENT ON TABLE store IS 'epoch: new after every restore; a receipt of an older epoch changes nothing';

CREATE TABLE municipality (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    public uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE
);

CREATE TABLE district (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    UNIQUE (municipality, name)
);

CREATE TABLE home (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    district integer NOT NULL,
    zone text NOT NULL DEFAULT 'Europe/Copenhagen',
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, district) REFERENCES district (municipality, id)
);

CREATE TABLE citizen (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    district integer NOT NULL,
    home integer NOT NULL,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, district) REFERENCES district (municipality, id),
    FOREIGN KEY (municipality, home) REFERENCES home (municipality, id)
);
CREATE INDEX citizen_home ON citizen (municipality, home);

CREATE SCHEMA identity;
COMMENT ON SCHEMA identity IS 'names, addresses and phones live here and nowhere else';

CREATE TABLE identity.citizen (
    municipality integer NOT NULL,
    citizen integer NOT NULL,
    name text NOT NULL,
    address text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    entry text NOT NULL DEFAULT '',
    PRIMARY KEY (municipality, citizen),
    FOREIGN KEY (municipality, citizen) REFERENCES public.citizen (municipality, id)
);
COMMENT ON COLUMN identity.citizen.entry IS 'how to get in';

-- ---------------------------------------------------------------- people and their rights

CREATE TABLE person (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    login text NOT NULL UNIQUE,
    password_hash text,
    left_on timestamptz,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public)
);

CREATE TABLE identity.person (
    municipality integer NOT NULL,
    person integer NOT NULL,
    name text NOT NULL,
    phone text NOT NULL DEFAULT '',
    PRIMARY KEY (municipality, person),
    FOREIGN KEY (municipality, person) REFERENCES public.person (municipality, id)
);

CREATE TABLE access (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    person integer NOT NULL,
    role text NOT NULL CHECK (role IN ('staff', 'planner', 'technician', 'clinical_owner', 'leader',
                                       'auditor', 'administrator', 'robot')),
    districts integer[],
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, person, role),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);
COMMENT ON COLUMN access.districts IS 'null: every district of the municipality';

CREATE TABLE api_key (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    access integer NOT NULL,
    hash bytea NOT NULL UNIQUE,
    expires timestamptz NOT NULL,
    last_used timestamptz,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, access) REFERENCES access (municipality, id)
);

CREATE TABLE session (
    hash bytea PRIMARY KEY,
    municipality integer NOT NULL,
    access integer NOT NULL,
    created timestamptz NOT NULL,
    seen timestamptz NOT NULL,
    expires timestamptz NOT NULL,
    FOREIGN KEY (municipality, access) REFERENCES access (municipality, id)
);
COMMENT ON COLUMN session.hash IS 'SHA-256 of the random cookie: looked up before the municipality is known';

CREATE TABLE access_log (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    person integer,
    role text,
    citizen integer,
    what text NOT NULL,
    purpose text NOT NULL DEFAULT '',
    previous bytea,
    hash bytea,
    PRIMARY KEY (municipality, id)
);
CREATE INDEX access_log_citizen ON access_log (municipality, citizen, at DESC);

CREATE TABLE team (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    district integer NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, district) REFERENCES district (municipality, id)
);

CREATE TABLE shift (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    team integer NOT NULL,
    person integer NOT NULL,
    "from" timestamptz NOT NULL,
    "to" timestamptz NOT NULL,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, team) REFERENCES team (municipality, id),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);

-- ---------------------------------------------------------------- boxes and devices

CREATE TABLE edge (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9-]{4,40}$'),
    home integer,
    join_hash bytea,
    join_expires timestamptz,
    joined timestamptz,
    broker_password text,
    config_version integer NOT NULL DEFAULT 1,
    config_published integer NOT NULL DEFAULT 0,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, home) REFERENCES home (municipality, id)
);
COMMENT ON COLUMN edge.name IS 'the random id of the box: MQTT user name, client id and topic level';
COMMENT ON COLUMN edge.join_hash IS 'SHA-256 of the one-time secret of CODE; null once used';
COMMENT ON COLUMN edge.broker_password IS 'Mosquitto password file form ($7$…), never the password';
CREATE INDEX edge_home ON edge (municipality, home);

CREATE TABLE device (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    address text NOT NULL,
    model text NOT NULL DEFAULT '',
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    UNIQUE (municipality, address)
);
COMMENT ON TABLE device IS 'every device that is ours, placed or in the depot; others are only counted';

CREATE TABLE device_secret (
    municipality integer NOT NULL,
    device integer NOT NULL,
    key bytea NOT NULL,
    given timestamptz NOT NULL,
    PRIMARY KEY (municipality, device),
    FOREIGN KEY (municipality, device) REFERENCES device (municipality, id)
);

CREATE TABLE placement (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    device integer NOT NULL,
    citizen integer NOT NULL,
    role text NOT NULL CHECK (role IN ('call', 'dispenser', 'motion', 'door', 'contact', 'bed',
                                       'thermometer', 'climate', 'other')),
    room text NOT NULL DEFAULT '',
    "from" timestamptz NOT NULL,
    "to" timestamptz,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, device) REFERENCES device (municipality, id),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id),
    CHECK ("to" IS NULL OR "to" > "from")
);
COMMENT ON TABLE placement IS 'this device in this role and room for this citizen, from (included) to (excluded)';
CREATE UNIQUE INDEX placement_now ON placement (municipality, device) WHERE "to" IS NULL;
CREATE INDEX placement_citizen ON placement (municipality, citizen);
CREATE INDEX placement_device ON placement (municipality, device);

CREATE TABLE dose_plan (
    municipality integer NOT NULL,
    id integer GENERATED ALWAYS AS IDENTITY,
    placement integer NOT NULL,
    version integer NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz,
    zone text NOT NULL,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, placement, version),
    FOREIGN KEY (municipality, placement) REFERENCES placement (municipality, id)
);

CREATE TABLE dose_plan_slot (
    municipality integer NOT NULL,
    plan integer NOT NULL,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 254),
    at time NOT NULL,
    window_minutes integer NOT NULL CHECK (window_minutes BETWEEN 1 AND 720),
    grace_minutes integer NOT NULL CHECK (grace_minutes BETWEEN 0 AND 720),
    PRIMARY KEY (municipality, plan, slot),
    FOREIGN KEY (municipality, plan) REFERENCES dose_plan (municipality, id)
);
COMMENT ON TABLE dose_plan_slot IS 'due at the local time `at` every day; missed at `at` + window + grace';

CREATE TABLE contact (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    edge integer NOT NULL,
    "from" timestamptz NOT NULL,
    "to" timestamptz,
    ended_by text CHECK (ended_by IN ('lost', 'stopped', 'stale')),
    sure_from timestamptz,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id),
    CHECK (("to" IS NULL) = (ended_by IS NULL))
);
COMMENT ON TABLE contact IS 'the intervals in which a box was in contact; the open one has no "to"';
COMMENT ON COLUMN contact.sure_from IS 'no finding before this: the gateway or the broker had only just started';
CREATE UNIQUE INDEX contact_now ON contact (municipality, edge) WHERE "to" IS NULL;
CREATE INDEX contact_edge ON contact (municipality, edge, "from" DESC);

-- ---------------------------------------------------------------- the ledger

CREATE TABLE stream (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    uuid uuid NOT NULL,
    edge integer NOT NULL,
    lane text NOT NULL CHECK (lane IN ('urgent', 'bulk')),
    received int8multirange NOT NULL DEFAULT '{}',
    gone int8multirange NOT NULL DEFAULT '{}',
    PRIMARY KEY (municipality, id),
    UNIQUE (uuid, lane),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id)
);
COMMENT ON COLUMN stream.edge IS 'who began it: a box that has joined anew goes on with the streams it kept';
COMMENT ON COLUMN stream.received IS 'the sequence numbers that are stored or gone: twice is once';
COMMENT ON COLUMN stream.gone IS 'of those received, the numbers that will never come';

CREATE TABLE watched (
    municipality integer NOT NULL,
    stream bigint NOT NULL,
    watched int8multirange NOT NULL DEFAULT '{}',
    PRIMARY KEY (municipality, stream),
    FOREIGN KEY (municipality, stream) REFERENCES stream (municipality, id)
);

CREATE SEQUENCE batch AS bigint;

CREATE TABLE pending (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    lane text NOT NULL,
    stream bigint NOT NULL,
    range int8range NOT NULL,
    batch bigint NOT NULL,
    earliest timestamptz NOT NULL,
    latest timestamptz NOT NULL,
    citizens integer[] NOT NULL,
    PRIMARY KEY (municipality, id)
);
COMMENT ON TABLE pending IS 'stored and not yet judged: put here by ingest, taken by watch, each in its own transaction';
CREATE INDEX pending_lane ON pending (lane DESC, id);

CREATE TABLE message (
    received timestamptz NOT NULL,
    stream bigint NOT NULL,
    batch bigint NOT NULL,
    payload bytea NOT NULL
);
SELECT create_hypertable('message', by_range('received', interval '1 day'), create_default_indexes => false);
CREATE INDEX message_batch ON message USING brin (batch);
COMMENT ON TABLE message IS 'the batches as they came: what re-reading needs';

CREATE TABLE observation (
    device integer NOT NULL,
    kind smallint NOT NULL,
    occurred timestamptz NOT NULL,
    received timestamptz NOT NULL,
    clock smallint NOT NULL,
    value double precision,
    code smallint,
    quality smallint NOT NULL,
    batch bigint NOT NULL
);
SELECT create_hypertable('observation', by_range('occurred', interval '7 days'), create_default_indexes => false);
CREATE INDEX observation_device ON observation (device, kind, occurred);
CREATE INDEX observation_batch ON observation USING brin (batch);
COMMENT ON TABLE observation IS 'kind, quality, clock: the numbers of adapters.observation; value in the kind''s UCUM unit';

CREATE TABLE observation_detail (
    device integer NOT NULL,
    kind smallint NOT NULL,
    occurred timestamptz NOT NULL,
    batch bigint NOT NULL,
    name text NOT NULL,
    value text NOT NULL
);
CREATE INDEX observation_detail_device ON observation_detail (device, kind, occurred);

CREATE TABLE unplaced_call (
    municipality integer NOT NULL,
    citizen integer NOT NULL,
    device integer NOT NULL,
    occurred timestamptz NOT NULL,
    PRIMARY KEY (municipality, citizen, device, occurred),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, device) REFERENCES device (municipality, id)
);
COMMENT ON TABLE unplaced_call IS 'a call of a device placed nowhere, for each who lived where it was heard: it stays theirs';

CREATE TABLE device_record (
    municipality integer NOT NULL,
    device integer NOT NULL,
    number bigint NOT NULL,
    device_time timestamptz NOT NULL,
    PRIMARY KEY (municipality, device, number, device_time),
    FOREIGN KEY (municipality, device) REFERENCES device (municipality, id)
);

CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    municipality integer REFERENCES municipality,
    topic text NOT NULL,
    stream uuid,
    sequence bigint,
    device text,
    reason text NOT NULL,
    detail text NOT NULL,
    reader text NOT NULL,
    payload bytea,
    digest bytea,
    count bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL
);
COMMENT ON COLUMN quarantine.reader IS 'the version of the adapters that could not read it';
COMMENT ON COLUMN quarantine.payload IS 'null where we have no right to keep it: a neighbour''s device is only counted';
COMMENT ON COLUMN quarantine.digest IS 'of a whole message: what makes the next sending of it the same one';
CREATE UNIQUE INDEX quarantine_message ON quarantine (topic, digest) WHERE digest IS NOT NULL;
CREATE UNIQUE INDEX quarantine_frame ON quarantine (municipality, stream, sequence) WHERE sequence IS NOT NULL;
CREATE INDEX quarantine_device ON quarantine (municipality, device, last_at) WHERE sequence IS NOT NULL;
CREATE UNIQUE INDEX quarantine_counted ON quarantine (topic, device, reason) WHERE sequence IS NULL AND payload IS NULL;

-- ---------------------------------------------------------------- rules, findings, alerts, notices

CREATE TABLE rule (
    municipality integer NOT NULL REFERENCES municipality,
    id integer GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, name)
);

CREATE TABLE rule_version (
    municipality integer NOT NULL,
    rule integer NOT NULL,
    version integer NOT NULL,
    settings jsonb NOT NULL,
    valid_from timestamptz NOT NULL,
    PRIMARY KEY (municipality, rule, version),
    FOREIGN KEY (municipality, rule) REFERENCES rule (municipality, id)
);

CREATE TABLE deadline (
    municipality integer NOT NULL,
    citizen integer NOT NULL,
    due timestamptz NOT NULL,
    PRIMARY KEY (municipality, citizen),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id)
);
COMMENT ON TABLE deadline IS 'when a citizen must be judged again though nothing more is heard';
CREATE INDEX deadline_due ON deadline (due);

CREATE TABLE alert (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    district integer NOT NULL,
    citizen integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('call_pressed', 'dose_missed', 'night_door', 'box_silent', 'unknown_device')),
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'taken', 'on_the_way', 'with_citizen', 'closed')),
    since timestamptz NOT NULL,
    raised timestamptz NOT NULL,
    reason text NOT NULL,
    late boolean NOT NULL DEFAULT false,
    ended timestamptz,
    holder integer,
    outcome text CHECK (outcome IN ('helped', 'false_alarm', 'test_call', 'technical', 'no_contact', 'duplicate', 'other')),
    outcome_text text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, district) REFERENCES district (municipality, id),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, holder) REFERENCES person (municipality, id),
    CHECK ((state = 'closed') = (outcome IS NOT NULL))
);
COMMENT ON COLUMN alert.ended IS 'when the last of its findings stopped holding; the case stays open until a person closes it';
CREATE INDEX alert_open ON alert (municipality, citizen, kind) WHERE state <> 'closed';
CREATE INDEX alert_raised ON alert (municipality, raised DESC);

CREATE TABLE finding (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    citizen integer NOT NULL,
    rule text NOT NULL,
    rule_version integer NOT NULL,
    subject text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    state text NOT NULL CHECK (state IN ('holds', 'unknown', 'ended', 'withdrawn')),
    reason text NOT NULL,
    late boolean NOT NULL DEFAULT false,
    alert bigint,
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, citizen) REFERENCES citizen (municipality, id),
    FOREIGN KEY (municipality, alert) REFERENCES alert (municipality, id)
);
CREATE INDEX finding_citizen ON finding (municipality, citizen, rule, since DESC);
CREATE INDEX finding_alert ON finding (municipality, alert);
CREATE INDEX finding_open ON finding (municipality, citizen)
    WHERE state = 'unknown' OR (rule = 'box_silent' AND state = 'holds');
COMMENT ON INDEX finding_open IS 'findings that are compared again however old they are';

CREATE TABLE alert_move (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    alert bigint NOT NULL,
    move text NOT NULL CHECK (move IN ('take', 'set_out', 'arrive', 'close', 'reopen', 'hand_over')),
    person integer NOT NULL,
    at timestamptz NOT NULL,
    before text NOT NULL,
    after text NOT NULL,
    outcome text,
    text text NOT NULL DEFAULT '',
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, alert) REFERENCES alert (municipality, id),
    FOREIGN KEY (municipality, person) REFERENCES person (municipality, id)
);
CREATE INDEX alert_move_alert ON alert_move (municipality, alert, id);

CREATE TABLE notice (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    public uuid NOT NULL DEFAULT gen_random_uuid(),
    alert bigint NOT NULL,
    channel text NOT NULL,
    type text NOT NULL,
    made timestamptz NOT NULL,
    due timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'given_up')),
    result text NOT NULL DEFAULT '',
    sent timestamptz,
    PRIMARY KEY (municipality, id),
    UNIQUE (municipality, public),
    FOREIGN KEY (municipality, alert) REFERENCES alert (municipality, id)
);
COMMENT ON COLUMN notice.public IS 'the webhook-id: the same for every attempt';
CREATE INDEX notice_due ON notice (due) WHERE state = 'waiting';

-- ---------------------------------------------------------------- what each stage may do

CREATE VIEW placed_observation WITH (security_barrier) AS
SELECT p.municipality, p.id AS placement, p.citizen, p.role, p.room, o.device, o.kind, o.occurred,
       o.received, o.clock, o.value, o.code, o.quality
FROM placement p
JOIN observation o ON o.device = p.device AND o.occurred >= p."from"
                  AND (p."to" IS NULL OR o.occurred < p."to");
GRANT USAGE ON SCHEMA public TO trygport_reader;
GRANT SELECT ON placement, observation, observation_detail TO trygport_reader;
GRANT CREATE ON SCHEMA public TO trygport_reader;
-- an owner who is no superuser may only give to, and grant for, a role that it is a member of
GRANT trygport_reader TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
ALTER VIEW placed_observation OWNER TO trygport_reader;
REVOKE CREATE ON SCHEMA public FROM trygport_reader;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO trygport_ingest, trygport_watch, trygport_notify;
REVOKE SELECT ON person, access, api_key, session, access_log
    FROM trygport_ingest, trygport_watch, trygport_notify;
REVOKE SELECT ON device_secret, message, quarantine FROM trygport_watch, trygport_notify;
-- A box's broker password and its one-time secret, also as hashes, are for the API alone.
REVOKE SELECT ON edge FROM trygport_ingest, trygport_watch, trygport_notify;
GRANT SELECT (municipality, id, name, home, joined, config_version, config_published) ON edge
    TO trygport_ingest, trygport_watch, trygport_notify;
-- Who sends notices needs the alert, never what a device said.
REVOKE SELECT ON observation, observation_detail, placed_observation FROM trygport_notify;

GRANT INSERT ON stream, watched, pending, message, observation, observation_detail, device_record,
    unplaced_call, quarantine, contact, deadline TO trygport_ingest;
GRANT UPDATE ON stream, quarantine, contact, deadline TO trygport_ingest;
GRANT UPDATE (model) ON device TO trygport_ingest;
COMMENT ON COLUMN device.model IS 'ingest may lock the row: no placement of the device changes before its call is stored';
GRANT UPDATE (config_published) ON edge TO trygport_ingest;
GRANT USAGE ON SEQUENCE batch TO trygport_ingest;

-- Chunks belong to the owner; this is all that ingest may do to them.
CREATE FUNCTION drop_messages(before timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS 'SELECT count(*) FROM drop_chunks(''message'', older_than => before)';
REVOKE EXECUTE ON FUNCTION drop_messages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_messages TO trygport_ingest;

GRANT DELETE ON pending, deadline TO trygport_watch;
GRANT UPDATE (lane) ON pending TO trygport_watch;
COMMENT ON COLUMN pending.lane IS 'watch may lock the row: two workers then look at different batches';
GRANT INSERT, UPDATE ON watched, deadline, finding, alert, notice TO trygport_watch;
GRANT UPDATE (district) ON citizen TO trygport_watch;
COMMENT ON COLUMN citizen.district IS 'watch may lock the row: that is how a citizen is claimed';

GRANT UPDATE ON notice TO trygport_notify;

GRANT USAGE ON SCHEMA identity TO trygport_api;
GRANT SELECT ON ALL TABLES IN SCHEMA public, identity TO trygport_api;
REVOKE SELECT ON observation, observation_detail, message, device_secret FROM trygport_api;
GRANT SELECT ON placed_observation TO trygport_api;
GRANT INSERT, UPDATE ON municipality, district, home, citizen, identity.citizen, person, identity.person,
    access, api_key, edge, device, placement, dose_plan, dose_plan_slot, deadline, team, shift TO trygport_api;
GRANT INSERT, UPDATE, DELETE ON session TO trygport_api;
GRANT INSERT ON alert_move, access_log, notice, device_secret TO trygport_api;
GRANT SELECT (municipality, device, given), UPDATE (key, given) ON device_secret TO trygport_api;
GRANT UPDATE ON alert TO trygport_api;
