-- What was set aside can be read again: what its times need, what of it is stored already, and how
-- it went. And how much of each box is set aside in a day, so that nothing fills the disk.

ALTER TABLE quarantine
    ADD COLUMN head jsonb,
    ADD COLUMN batch bigint,
    ADD COLUMN kept jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN reread timestamptz,
    ADD COLUMN state text NOT NULL DEFAULT 'aside' CHECK (state IN ('aside', 'read'));
COMMENT ON COLUMN quarantine.head IS 'of a frame: what its batch says (sent_at, boot, clock) and when we received it, in milliseconds; null: set aside before this column was';
COMMENT ON COLUMN quarantine.batch IS 'of a frame: the batch that brought it';
COMMENT ON COLUMN quarantine.kept IS 'of a frame that was read in part: the observations that are stored, [[kind, code, value], …]';
COMMENT ON COLUMN quarantine.reread IS 'when it was last read again';
COMMENT ON COLUMN quarantine.state IS 'read: its observations are stored, so it is never read again';
CREATE INDEX quarantine_aside ON quarantine (id) WHERE state = 'aside' AND payload IS NOT NULL;

CREATE TABLE aside_today (
    topic text NOT NULL,
    what text NOT NULL CHECK (what IN ('message', 'frame')),
    day date NOT NULL,
    kept integer NOT NULL,
    PRIMARY KEY (topic, what)
);
COMMENT ON TABLE aside_today IS 'how many were set aside with their bytes on the last day with any; by topic, so that no lane waits for another';
GRANT SELECT, INSERT, UPDATE ON aside_today TO trygport_ingest;

-- "Has this box ever been understood?" and "all streams of this box", without a look at every stream.
CREATE INDEX IF NOT EXISTS stream_edge ON stream (municipality, edge);
