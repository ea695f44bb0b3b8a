-- What happened, as a reader looks for it: one row an event, and the keys by which it is found. Made from the log alone.
-- See docs/history.md.
--
-- `said` holds the words of unsealed fields, a field a line, as `projections/history_words.py` writes them; nothing that
-- is sealed is ever in here. The sentence a reader sees is made from the stored event when it is read.

CREATE TABLE history (
    tenant_id    uuid NOT NULL,
    generation   integer NOT NULL,
    position     bigint NOT NULL,
    at           timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    stream_kind  text NOT NULL,
    stream_id    uuid NOT NULL,
    version      integer NOT NULL,
    type         text NOT NULL,
    actor        text NOT NULL,
    on_behalf_of text,
    persons      text[] NOT NULL,
    customers    text[] NOT NULL,
    grant_id     uuid,
    case_id      text,
    reason       text,
    command_id   uuid NOT NULL,
    causation    bigint,
    imported     boolean NOT NULL,
    said         text NOT NULL,
    PRIMARY KEY (tenant_id, generation, position)
);
CREATE INDEX history_at ON history (tenant_id, generation, at, position);
CREATE INDEX history_causation ON history (tenant_id, generation, causation, position) WHERE causation IS NOT NULL;

-- One row an event and key: `a:<party>` who acted or was acted for, `c:<customer>`, `g:<grant>`, `t:<type without its
-- version>`, `n:<id of another stream that it names>`, `w:<word>`. Plain rows in the order in which they are read, and no
-- inverted index: only so can a page stop where it is full, whichever keys have to meet.
CREATE TABLE history_keys (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    key        text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (tenant_id, generation, key, at, position)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['history', 'history_keys'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

-- The positions of events in the order of (at, position) that have a key of every term, and every text of `p_said` in
-- what they say.
--
--   p_keys, p_terms  keys, each with the number of its term from 1; one key of a term is enough. None: all events
--   p_since, p_until the half-open interval of `at`
--   p_at, p_position behind which place to begin, NULL at the beginning
--   p_back           newest first
--   p_steps          index probes at the most; where they run out, `o_more` is true and (o_at, o_position) the place
--                    behind which to go on. A page may be short, and none costs more than this
--
-- The terms take turns: each moves on to its first row that is not before the place where the others are, so the rarest
-- one leads and the common ones are skipped in leaps.
CREATE FUNCTION find_history(
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
    SELECT g.generation INTO v_generation FROM generations g
        WHERE g.tenant_id = p_tenant AND g.projection = 'history' AND g.live;
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

-- The rows at these positions with their stored events, in the order given; probed one by one, each from its position
-- on: an order has to come from the index on positions, an equality might be looked for along any other.
CREATE FUNCTION read_history(p_tenant uuid, p_positions bigint[])
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
    SELECT g.generation INTO v_generation FROM generations g
        WHERE g.tenant_id = p_tenant AND g.projection = 'history' AND g.live;
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

-- Tenants that are there already get the read model too; the runner fills it from their first event on.
INSERT INTO generations (tenant_id, projection, generation, fold, live)
    SELECT tenant_id, 'history', 1, 1, true FROM tenants;
INSERT INTO checkpoints (tenant_id, projection, generation) SELECT tenant_id, 'history', 1 FROM tenants;

GRANT SELECT ON history, history_keys TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE, DELETE ON history, history_keys TO counterseal_projector;
REVOKE ALL ON FUNCTION find_history, read_history FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_history, read_history
    TO counterseal_service, counterseal_projector, counterseal_auditor;
