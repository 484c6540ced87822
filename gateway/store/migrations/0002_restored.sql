-- After a restore: the store says so, boxes say what they kept, alerts made again say that they are.

ALTER TABLE store ADD COLUMN restored timestamptz;
COMMENT ON COLUMN store.restored IS 'when the running epoch began by a restore; null in the first';

ALTER TABLE alert ADD COLUMN remade boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN alert.remade IS 'raised after a restore for what was before it: it may have been told already';

-- A box's streams are read when it is told what is stored, and where its holes are shown.
CREATE INDEX stream_edge ON stream (municipality, edge);

CREATE TABLE edge_card (
    municipality integer NOT NULL,
    edge integer NOT NULL,
    at timestamptz NOT NULL,
    keep_days double precision,
    early bigint NOT NULL DEFAULT 0,
    given_up bigint NOT NULL DEFAULT 0,
    full_at timestamptz,
    PRIMARY KEY (municipality, edge),
    FOREIGN KEY (municipality, edge) REFERENCES edge (municipality, id)
);
COMMENT ON TABLE edge_card IS 'what a box says of its memory card, newest; only of boxes that have something to say';
COMMENT ON COLUMN edge_card.keep_days IS 'days that receipted frames stay on the box';
COMMENT ON COLUMN edge_card.early IS 'receipted frames that a full card let go of before their days were over';
COMMENT ON COLUMN edge_card.given_up IS 'frames that a full card let go of before they had a receipt';
COMMENT ON COLUMN edge_card.full_at IS 'when the card was last found full, by the box''s clock';

GRANT SELECT ON edge_card TO trygport_ingest, trygport_watch, trygport_notify, trygport_api;
GRANT INSERT, UPDATE ON edge_card TO trygport_ingest;
