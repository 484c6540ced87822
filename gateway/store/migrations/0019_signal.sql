-- Who looks after devices sees that they live, and nothing that they said of anybody.
--
-- No policy could say so: a technician has no right to observations, and here a battery's are told
-- and when there was anything at all, to the hour. To the minute it would tell when a citizen moved,
-- or called: a button says its battery with each press. Only what was said since the device was placed where it is (or came to the depot):
-- what it said before is another citizen's.

CREATE FUNCTION device_signal(wanted integer[])
RETURNS TABLE (device integer, heard timestamptz, kind smallint, said timestamptz, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
-- only with the times known are the parts of the table that are too old left out of the plan
SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    now_ timestamptz := my_now();
    since timestamptz := now_ - interval '30 days';
    batteries smallint[] := '{9, 10, 14, 36}';  -- battery, battery_low, voltage, battery_empty
BEGIN
    IF my_level('signal') < 2 OR my_level('device') < 2 OR now_ IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE ours AS (
        SELECT d.id, GREATEST(p."from", since) AS begun
        FROM (SELECT DISTINCT unnest(wanted)) u (w)
        JOIN device d ON d.municipality = my_municipality() AND d.id = u.w
        JOIN placement p ON p.municipality = d.municipality AND p.device = d.id AND p."to" IS NULL
        JOIN citizen c ON c.municipality = p.municipality AND c.id = p.citizen
        WHERE my_district(c.district)
        UNION ALL
        SELECT d.id, GREATEST((SELECT max(p."to") FROM placement p
                               WHERE p.municipality = d.municipality AND p.device = d.id), since)
        FROM (SELECT DISTINCT unnest(wanted)) u (w)
        JOIN device d ON d.municipality = my_municipality() AND d.id = u.w
        WHERE my_level('device') = 3
          AND NOT EXISTS (SELECT FROM placement p WHERE p.municipality = d.municipality
                            AND p.device = d.id AND p."to" IS NULL)
    ), spoke AS (
        -- from kind to kind by the index: a device has few, and thousands of rows of each
        SELECT o.id, o.begun, (
            SELECT x.kind FROM observation x
            WHERE x.device = o.id AND x.occurred >= since AND x.occurred <= now_
            ORDER BY x.kind LIMIT 1) AS kind
        FROM ours o
        UNION ALL
        SELECT s.id, s.begun, (
            SELECT x.kind FROM observation x
            WHERE x.device = s.id AND x.kind > s.kind AND x.occurred >= since AND x.occurred <= now_
            ORDER BY x.kind LIMIT 1)
        FROM spoke s WHERE s.kind IS NOT NULL
    ), newest AS (
        SELECT s.id, s.kind, last.occurred, last.value
        FROM spoke s, LATERAL (
            SELECT x.occurred, x.value FROM observation x
            WHERE x.device = s.id AND x.kind = s.kind AND x.occurred >= since AND x.occurred <= now_
            ORDER BY x.occurred DESC LIMIT 1) last
        WHERE s.kind IS NOT NULL AND last.occurred >= s.begun
    ), lately AS (
        SELECT n.id, date_trunc('hour', max(n.occurred)) AS heard FROM newest n GROUP BY n.id
    )
    SELECT l.id, l.heard, n.kind, date_trunc('hour', n.occurred), n.value
    FROM lately l
    LEFT JOIN newest n ON n.id = l.id AND n.kind = ANY (batteries);
END
$$;
COMMENT ON FUNCTION device_signal IS 'when a device was last heard, to the hour, and what its battery said last, at most 30 days back; a row for each of the battery''s kinds, one without any';
REVOKE EXECUTE ON FUNCTION device_signal FROM PUBLIC;
GRANT EXECUTE ON FUNCTION device_signal TO trygport_api;
