-- What boxes say of themselves: events, once each by the ledger like observations, and in the state
-- message how they listen, how long the spool has room, which way they send, what is wrong.

CREATE TABLE box_event (
    municipality integer NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    edge integer NOT NULL,
    occurred timestamptz NOT NULL,
    received timestamptz NOT NULL,
    clock smallint NOT NULL,
    word text NOT NULL CHECK (length(word) <= 64),
    details jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (municipality, id),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id)
);
COMMENT ON TABLE box_event IS 'what happened to a box, by its own word; kept 90 days: it tells when somebody had no power';
COMMENT ON COLUMN box_event.occurred IS 'of what a device said (device.…) only the hour, as device_signal tells it: to the minute it would tell when somebody moved';
COMMENT ON COLUMN box_event.clock IS 'how sure the time is, as in observation';
COMMENT ON COLUMN box_event.word IS 'whatever the box said: a word that this gateway does not know is kept';
-- the newest of one box: for who looks at it, and for how many came within the hour
CREATE INDEX box_event_newest ON box_event (municipality, edge, id DESC);
-- old ones are swept away; received ascends with the place in the table
CREATE INDEX box_event_received ON box_event USING brin (received);

ALTER TABLE edge_card
    ADD COLUMN reader text,
    ADD COLUMN mode text,
    ADD COLUMN room_days smallint,
    ADD COLUMN path smallint,
    ADD COLUMN trouble text;
COMMENT ON TABLE edge_card IS 'what a box says of its memory card, its radio and its line, newest; only of boxes that have something to say';
COMMENT ON COLUMN edge_card.reader IS 'whether its radio hears: hearing, silent, off, starting';
COMMENT ON COLUMN edge_card.mode IS 'how its radio listens: active or passive';
COMMENT ON COLUMN edge_card.room_days IS 'whole days for which the spool has room at the rate of late; at most 60 is told';
COMMENT ON COLUMN edge_card.path IS 'the way to us that it uses: 2 is the second one';
COMMENT ON COLUMN edge_card.trouble IS 'what keeps it from its duty, in one word';

GRANT SELECT ON box_event TO trygport_ingest, trygport_api;
GRANT INSERT, DELETE ON box_event TO trygport_ingest;
ALTER TABLE box_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON box_event FOR SELECT TO trygport_api
    USING (municipality = my_municipality() AND (SELECT my_level('signal')) >= 2
           AND EXISTS (SELECT FROM edge e
                       WHERE e.municipality = box_event.municipality AND e.id = box_event.edge));
CREATE POLICY stages ON box_event TO trygport_ingest USING (true);
