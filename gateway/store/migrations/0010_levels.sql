-- What a policy asks first, asked cheaply: a request passes some thirty policies.
--
-- As an SQL function with a question of its own in it, my_level was planned anew at every call,
-- 0.1 ms of CPU each: more than the queries themselves. PL/pgSQL keeps the plan for the session.

CREATE OR REPLACE FUNCTION my_level(wanted text) RETURNS smallint
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF public.my_classes() IS NOT NULL AND wanted <> ALL (public.my_classes()) THEN
        RETURN 0;
    END IF;
    RETURN COALESCE((SELECT r.level FROM public.role_right r
                     WHERE r.role = public.my_role() AND r.class = wanted), 0);
END
$$;

-- Every request begins with one of these two (0006): the same statements, with a plan that is kept.
DO $$
DECLARE
    entrance record;
BEGIN
    FOR entrance IN
        SELECT p.oid, p.proname, p.prosrc FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace
          AND p.proname IN ('caller_by_session', 'caller_by_key')
    LOOP
        EXECUTE format(
            'CREATE OR REPLACE FUNCTION %I(%s) RETURNS %s LANGUAGE plpgsql STABLE '
            'SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS %L',
            entrance.proname, pg_get_function_arguments(entrance.oid),
            pg_get_function_result(entrance.oid),
            E'#variable_conflict use_column\nBEGIN\n    RETURN QUERY' || rtrim(entrance.prosrc, E' \n;') || E';\nEND\n');
    END LOOP;
END
$$;
