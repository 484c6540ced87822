-- More that a box can be asked, and why it does not follow its newest configuration.

ALTER TABLE command
    ADD COLUMN did jsonb,
    ADD COLUMN log text CHECK (length(log) <= 32768);
COMMENT ON COLUMN command.did IS 'what came of it: short words with numbers or short words';
COMMENT ON COLUMN command.log IS 'the last lines that the box''s program wrote, without neighbours'' addresses';
GRANT UPDATE (did, log) ON command TO trygport_ingest;

ALTER TABLE edge_card ADD COLUMN refused text CHECK (length(refused) <= 200);
COMMENT ON COLUMN edge_card.refused IS 'why it does not follow the newest configuration: the place in it and what is wrong there';
