-- Health devices are fetched by hearing plans that are new, and a device's clock is set by the zone
-- of its home: every box is told its configuration again. What devices keep is stored once.

UPDATE edge SET config_version = config_version + 1;

COMMENT ON TABLE device_record IS 'what devices keep and give more than once, each stored once';
COMMENT ON COLUMN device_record.number IS 'of the record; from 2^62 on a checksum of one that has no number';
COMMENT ON COLUMN device_record.device_time IS 'as the device showed it: where it shows local time, that as if it were UTC';
