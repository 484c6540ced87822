-- A walk test is also over when its box leaves the home: moved, replaced or shut out.
ALTER TABLE walk_test DROP CONSTRAINT walk_test_ended_by_check;
ALTER TABLE walk_test ADD CONSTRAINT walk_test_ended_by_check
    CHECK (ended_by IN ('person', 'time', 'box'));
COMMENT ON COLUMN walk_test.ended_by IS 'box: its box left the home; "ender" is who moved, replaced or shut it out';
