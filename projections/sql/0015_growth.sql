-- What costs the same of a short log and of a long one. See docs/performance.md.
--
-- A connection keeps the plan it made while a table was small. Until statistics are taken next, which is when autovacuum
-- comes round, such a plan may read the whole of a table that has become large: so these walk an index from the start.

-- As in 0001; each stream is probed from its version on, in the order of the one index that has it.
CREATE OR REPLACE FUNCTION read_streams(p_tenant uuid, p_streams uuid[], p_after integer[])
RETURNS TABLE (stream_id uuid, version integer, "position" bigint, type text, recorded_at timestamptz,
               command_id uuid, data bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT e.stream_id, e.version, e.position, e.type, e.recorded_at, e.command_id, e.data
        FROM unnest(p_streams, p_after) AS u(stream_id, after)
        CROSS JOIN LATERAL (
            SELECT x.* FROM events x
            WHERE x.tenant_id = p_tenant AND x.stream_id = u.stream_id AND x.version > u.after
            ORDER BY x.version OFFSET 0) e
        ORDER BY e.stream_id, e.version;
END $$;

DO $$
DECLARE one regprocedure;
BEGIN
    FOREACH one IN ARRAY ARRAY[
        'read_events(uuid, bigint, bigint, integer)', 'read_tail(uuid, bigint)', 'read_claim(uuid, text, bytea)',
        'read_staff_ids(uuid)', 'read_staff_ids_at(uuid, bigint)']::regprocedure[] LOOP
        EXECUTE format('ALTER FUNCTION %s SET plan_cache_mode = force_generic_plan SET enable_seqscan = off'
                       ' SET enable_bitmapscan = off SET jit = off', one);
    END LOOP;
END $$;

-- Two filters at once: each alone would have to step over all that only the other one has.
CREATE INDEX grants_kind_status ON grants (tenant_id, generation, kind, status, grant_id);
CREATE INDEX customers_status_title ON customers (tenant_id, generation, status, title COLLATE "C", customer_id)
    WHERE title IS NOT NULL;
CREATE INDEX customers_status_title_key ON customers
    (tenant_id, generation, status, title_key COLLATE "C", customer_id) WHERE title_key IS NOT NULL;
