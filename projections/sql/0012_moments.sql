-- The past: read models as they stood at a position, kept for a while so that lists of the past can be paged. See
-- docs/past.md.
--
-- A moment's rows lie in the read models themselves, under the generation that is its number made negative.

CREATE SEQUENCE moment_numbers AS integer;

-- `happened`: only acts at or before this instant, NULL for all; `folds`: by which fold versions it was made; `done`: the
-- position up to which it has been filled. No content is in here, and workers look for work of every tenant: there is no
-- row-level security on it, as on checkpoints.
CREATE TABLE moments (
    tenant_id uuid NOT NULL,
    moment    integer NOT NULL,
    position  bigint NOT NULL,
    happened  timestamptz,
    folds     jsonb NOT NULL,
    state     text NOT NULL CHECK (state IN ('asked', 'ready', 'dropped')),
    done      bigint NOT NULL DEFAULT 0,
    asked_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, moment)
);
-- Two who ask at once are given the same one.
CREATE UNIQUE INDEX moments_one ON moments (tenant_id, position, (coalesce(happened, 'infinity'::timestamptz)), folds)
    WHERE state <> 'dropped';
CREATE INDEX moments_work ON moments (state) WHERE state <> 'ready';

-- The generation of a read model that this transaction reads: the live one, or the moment that was chosen for it.
-- Statements ask it as (SELECT chosen('...')), which is worked out once.
CREATE FUNCTION chosen(p_projection text) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    -nullif(current_setting('counterseal.moment', true), '')::integer,
    (SELECT g.generation FROM generations g
     WHERE g.tenant_id = current_tenant() AND g.projection = p_projection AND g.live));

-- The position as of which this transaction reads; NULL for now.
CREATE FUNCTION chosen_position() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('counterseal.known', true), '')::bigint;

-- How far a read model has followed the log: one of the past as far as the past goes.
CREATE FUNCTION reached_by(p_tenant uuid, p_projection text) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    chosen_position(),
    (SELECT c.position FROM generations g JOIN checkpoints c USING (tenant_id, projection, generation)
     WHERE g.tenant_id = p_tenant AND g.projection = p_projection AND g.live));

-- Ask for a moment: its number, whether it is ready, and how far it has been filled. It is made where there is none.
-- No number where the log does not reach so far, or where `p_most` of the tenant's are still being made.
CREATE FUNCTION ask_moment(p_tenant uuid, p_position bigint, p_happened timestamptz, p_folds jsonb, p_most integer,
                           OUT o_moment integer, OUT o_ready boolean, OUT o_done bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_asked_at timestamptz;
BEGIN
    FOR v_try IN 1..2 LOOP
        SELECT m.moment, m.state = 'ready', m.done, m.asked_at INTO o_moment, o_ready, o_done, v_asked_at
            FROM moments m
            WHERE m.tenant_id = p_tenant AND m.position = p_position AND m.folds = p_folds
                AND coalesce(m.happened, 'infinity') = coalesce(p_happened, 'infinity') AND m.state <> 'dropped';
        IF FOUND THEN
            -- Those being filled are left alone: their rows are locked for a page at a time.
            IF o_ready AND v_asked_at < clock_timestamp() - interval '1 minute' THEN
                UPDATE moments m SET asked_at = clock_timestamp()
                    WHERE m.tenant_id = p_tenant AND m.moment = o_moment AND m.state = 'ready';
            END IF;
            RETURN;
        END IF;
        IF p_position < 0 OR NOT EXISTS (
                SELECT 1 FROM ledgers l WHERE l.tenant_id = p_tenant AND l.position >= p_position)
            OR p_most <= (SELECT count(*) FROM moments m WHERE m.tenant_id = p_tenant AND m.state = 'asked') THEN
            RETURN;
        END IF;
        INSERT INTO moments (tenant_id, moment, position, happened, folds, state)
            VALUES (p_tenant, nextval('moment_numbers'), p_position, p_happened, p_folds,
                    CASE p_position WHEN 0 THEN 'ready' ELSE 'asked' END)
            ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- Let this transaction read as of a moment. False where it is not there or not ready. Until the transaction ends nobody
-- drops it: the key share lock is what whoever drops has to wait for, or leaves it by.
CREATE FUNCTION choose_moment(p_tenant uuid, p_moment integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    v_position bigint;
BEGIN
    SELECT m.position INTO v_position FROM moments m
        WHERE m.tenant_id = p_tenant AND m.moment = p_moment AND m.state = 'ready' FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM set_config('counterseal.moment', p_moment::text, true);
    PERFORM set_config('counterseal.known', v_position::text, true);
    RETURN true;
END $$;

-- Staff ever appointed, as far as was known at a position.
CREATE FUNCTION read_staff_ids_at(p_tenant uuid, p_position bigint) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT DISTINCT e.stream_id FROM events e
        WHERE e.tenant_id = p_tenant AND e.type = 'staff.appointed.1' AND e.position <= p_position;
END $$;

-- As in 0006, of the generation that is chosen.
CREATE OR REPLACE FUNCTION find_history(
    p_tenant uuid, p_keys text[], p_terms integer[], p_said text[], p_since timestamptz, p_until timestamptz,
    p_at timestamptz, p_position bigint, p_back boolean, p_limit integer, p_steps integer,
    OUT o_positions bigint[], OUT o_at timestamptz, OUT o_position bigint, OUT o_more boolean)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_generation integer;
    v_terms integer := coalesce((SELECT max(x) FROM unnest(p_terms) x), 1);
    v_probes integer := greatest(cardinality(p_keys), 1);
    v_steps integer := 0;
    v_at timestamptz;
    v_position bigint;
    v_moved boolean;
    v_said text;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    v_generation := chosen('history');
    o_positions := '{}';
    o_more := false;
    IF p_at IS NOT NULL THEN
        o_at := p_at;
        o_position := p_position + CASE WHEN p_back THEN -1 ELSE 1 END;
    ELSIF p_back THEN
        o_at := coalesce(p_until, 'infinity');
        o_position := -1;
    ELSE
        o_at := coalesce(p_since, '-infinity');
        o_position := 0;
    END IF;
    LOOP
        IF v_steps >= p_steps THEN
            o_more := true;
            -- Behind which to go on: the place itself has not been looked at.
            o_position := o_position - CASE WHEN p_back THEN -1 ELSE 1 END;
            RETURN;
        END IF;
        v_steps := v_steps + v_probes;
        v_moved := false;
        FOR t IN 1..v_terms LOOP
            IF cardinality(p_keys) = 0 AND p_back THEN
                SELECT h.at, h.position INTO v_at, v_position FROM history h
                    WHERE h.tenant_id = p_tenant AND h.generation = v_generation
                        AND (h.at, h.position) <= (o_at, o_position)
                    ORDER BY h.at DESC, h.position DESC LIMIT 1;
            ELSIF cardinality(p_keys) = 0 THEN
                SELECT h.at, h.position INTO v_at, v_position FROM history h
                    WHERE h.tenant_id = p_tenant AND h.generation = v_generation
                        AND (h.at, h.position) >= (o_at, o_position)
                    ORDER BY h.at, h.position LIMIT 1;
            ELSIF p_back THEN
                SELECT k.at, k.position INTO v_at, v_position
                    FROM unnest(p_keys, p_terms) AS u(key, term)
                    CROSS JOIN LATERAL (
                        SELECT h.at, h.position FROM history_keys h
                        WHERE h.tenant_id = p_tenant AND h.generation = v_generation AND h.key = u.key
                            AND (h.at, h.position) <= (o_at, o_position)
                        ORDER BY h.at DESC, h.position DESC LIMIT 1) k
                    WHERE u.term = t ORDER BY k.at DESC, k.position DESC LIMIT 1;
            ELSE
                SELECT k.at, k.position INTO v_at, v_position
                    FROM unnest(p_keys, p_terms) AS u(key, term)
                    CROSS JOIN LATERAL (
                        SELECT h.at, h.position FROM history_keys h
                        WHERE h.tenant_id = p_tenant AND h.generation = v_generation AND h.key = u.key
                            AND (h.at, h.position) >= (o_at, o_position)
                        ORDER BY h.at, h.position LIMIT 1) k
                    WHERE u.term = t ORDER BY k.at, k.position LIMIT 1;
            END IF;
            IF NOT FOUND OR (NOT p_back AND v_at >= p_until) OR (p_back AND v_at < p_since) THEN
                o_at := NULL;
                o_position := NULL;
                RETURN;
            END IF;
            v_moved := t > 1 AND (v_at, v_position) <> (o_at, o_position);
            o_at := v_at;
            o_position := v_position;
            EXIT WHEN v_moved;
        END LOOP;
        CONTINUE WHEN v_moved;
        IF cardinality(p_said) > 0 THEN
            v_steps := v_steps + 1;
            SELECT h.said INTO v_said FROM history h
                WHERE h.tenant_id = p_tenant AND h.generation = v_generation AND h.position >= o_position
                ORDER BY h.position LIMIT 1;
        END IF;
        IF NOT EXISTS (SELECT 1 FROM unnest(p_said) AS s(part) WHERE strpos(v_said, s.part) = 0) THEN
            o_positions := o_positions || o_position;
            EXIT WHEN cardinality(o_positions) >= p_limit;
        END IF;
        o_position := o_position + CASE WHEN p_back THEN -1 ELSE 1 END;
    END LOOP;
    o_more := true;
END $$;

CREATE OR REPLACE FUNCTION read_history(p_tenant uuid, p_positions bigint[])
RETURNS TABLE ("position" bigint, at timestamptz, recorded_at timestamptz, stream_kind text, stream_id uuid,
               version integer, type text, actor text, on_behalf_of text, persons text[], customers text[],
               grant_id uuid, case_id text, reason text, command_id uuid, causation bigint, imported boolean, data bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_generation integer;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    v_generation := chosen('history');
    RETURN QUERY SELECT h.position, h.at, h.recorded_at, h.stream_kind, h.stream_id, h.version, h.type, h.actor,
                        h.on_behalf_of, h.persons, h.customers, h.grant_id, h.case_id, h.reason, h.command_id,
                        h.causation, h.imported, e.data
        FROM unnest(p_positions) WITH ORDINALITY AS u(pos, place)
        JOIN LATERAL (SELECT x.* FROM history x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation AND x.position >= u.pos
                      ORDER BY x.position LIMIT 1) h ON h.position = u.pos
        JOIN LATERAL (SELECT y.position, y.data FROM events y WHERE y.tenant_id = p_tenant AND y.position >= u.pos
                      ORDER BY y.position LIMIT 1) e ON e.position = u.pos
        ORDER BY u.place;
END $$;

REVOKE ALL ON FUNCTION ask_moment, choose_moment, read_staff_ids_at, reached_by FROM PUBLIC;
GRANT EXECUTE ON FUNCTION chosen, chosen_position TO PUBLIC;
GRANT EXECUTE ON FUNCTION ask_moment, choose_moment TO counterseal_service;
GRANT EXECUTE ON FUNCTION read_staff_ids_at, reached_by
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT SELECT ON moments TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT UPDATE, DELETE ON moments TO counterseal_projector;
