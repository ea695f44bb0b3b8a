-- Who may do what, as interval rows written in the append's own transaction. See docs/architecture.md, "Project".
--
-- A row says: during [known_from, known_to) of the log we held that this is so during [valid_from, valid_to).
-- An event closes rows (known_to) and opens others; nothing else is ever changed. NULL in known_to: held still.

CREATE TABLE permissions (
    tenant_id      uuid NOT NULL,
    generation     integer NOT NULL,
    grant_id       uuid NOT NULL,
    terms_number   integer NOT NULL,
    valid_from     timestamptz NOT NULL,
    valid_to       timestamptz NOT NULL,
    known_from     bigint NOT NULL,
    known_to       bigint,
    grantee        text NOT NULL,
    number         text NOT NULL,
    kind           text NOT NULL,
    actions        text[] NOT NULL,
    scope          jsonb NOT NULL,
    policy_id      uuid,
    policy_version integer NOT NULL,
    parent         text,
    stops          jsonb NOT NULL,
    PRIMARY KEY (tenant_id, generation, grantee, grant_id, terms_number, valid_from, known_from),
    CHECK (valid_from < valid_to),
    CHECK (known_from < known_to)
) WITH (fillfactor = 80);
-- One index, on purpose: it serves the check, which asks by grantee, and the close, which names the whole key. Beside a
-- second one a plan made before the table was ever analysed took the wrong one, and read a whole tenant for a grantee.
COMMENT ON COLUMN permissions.stops IS
    'why it is not in force after valid_to, for explanations: objects of why, from, until, hold; [] where the term ended';

CREATE TABLE standings (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    party      text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz NOT NULL,
    known_from bigint NOT NULL,
    known_to   bigint,
    PRIMARY KEY (tenant_id, generation, party, valid_from, known_from),
    CHECK (valid_from < valid_to),
    CHECK (known_from < known_to)
) WITH (fillfactor = 80);

-- A party merged into another one: from valid_from on it stands as that one does.
CREATE TABLE aliases (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    party      text NOT NULL,
    into_party text NOT NULL,
    valid_from timestamptz NOT NULL,
    known_from bigint NOT NULL,
    known_to   bigint,
    PRIMARY KEY (tenant_id, generation, party, known_from),
    CHECK (known_from < known_to)
) WITH (fillfactor = 80);
CREATE INDEX aliases_into ON aliases (tenant_id, generation, into_party, known_from);

-- A point of the catalogue: new scopes may name it during [valid_from, valid_to), and `attributes` place it on other
-- dimensions whenever it is asked about.
CREATE TABLE points (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    dimension  text NOT NULL,
    path       text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz NOT NULL,
    known_from bigint NOT NULL,
    known_to   bigint,
    names      jsonb NOT NULL,
    attributes jsonb NOT NULL,
    PRIMARY KEY (tenant_id, generation, dimension, path, known_from),
    CHECK (known_from < known_to)
) WITH (fillfactor = 80);

-- A stream with an event that could not be applied, at `position`: what rests on it is denied until someone has looked.
CREATE TABLE quarantined (
    tenant_id  uuid NOT NULL,
    stream_id  uuid NOT NULL,
    position   bigint NOT NULL,
    projection text NOT NULL,
    code       text NOT NULL,
    PRIMARY KEY (tenant_id, stream_id)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['permissions', 'standings', 'aliases', 'points', 'quarantined'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

-- Close and open the rows of one batch. Called by `append` alone, under the head row's lock, with the tenant's setting
-- made; one statement a table, and none for a table that nothing is for.
--
--   p_generations  the live generation of each projection
--   p_positions    the position of each event by its place from 1; NULL where its command was left out
--   p_rows         objects: e the place of the event from 0; t the table (g permissions, s standings, a aliases,
--                  p points); o what to do (c close, o open); the row's columns, for a close those of its key
--
-- The same key may be opened and closed several times in one batch: the first close of a key that nothing in the batch
-- has opened ends the row that is there, every other close ends the row opened before it in the batch.
-- A row that is to be closed and is not there is never passed over: it would leave a right standing.
CREATE FUNCTION inline_apply(p_tenant uuid, p_generations jsonb, p_positions bigint[], p_rows jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_generation integer;
    v_due bigint;
    v_done bigint;
BEGIN
    IF p_rows @> '[{"t": "g"}]' THEN
        v_generation := (p_generations ->> 'permissions')::integer;
        WITH ops AS MATERIALIZED (
            SELECT p_positions[r.e + 1] AS pos, r.*,
                   row_number() OVER key_order AS place,
                   min(p_positions[r.e + 1]) FILTER (WHERE r.o = 'c') OVER later AS ended
            FROM jsonb_to_recordset(p_rows) AS r(e integer, t text, o text, grant_id uuid, terms_number integer,
                valid_from timestamptz, valid_to timestamptz, grantee text, number text, kind text, actions text[],
                scope jsonb, policy_id uuid, policy_version integer, parent text, stops jsonb)
            WHERE r.t = 'g' AND p_positions[r.e + 1] IS NOT NULL
            WINDOW key_order AS (PARTITION BY r.grantee, r.grant_id, r.terms_number, r.valid_from
                                 ORDER BY p_positions[r.e + 1], r.o),
                   later AS (key_order ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)),
        closed AS (
            UPDATE permissions p SET known_to = o.pos
            FROM (SELECT ops.pos, x.ctid FROM ops CROSS JOIN LATERAL (
                      SELECT x.ctid FROM permissions x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation
                          AND x.grantee = ops.grantee AND x.grant_id = ops.grant_id AND x.terms_number = ops.terms_number AND x.valid_from = ops.valid_from AND x.known_to IS NULL
                      ORDER BY x.known_from LIMIT 1) x
                  WHERE ops.place = 1 AND ops.o = 'c') o
            WHERE p.ctid = o.ctid
            RETURNING 1),
        opened AS (
            INSERT INTO permissions (tenant_id, generation, grant_id, terms_number, valid_from, valid_to, known_from,
                known_to, grantee, number, kind, actions, scope, policy_id, policy_version, parent, stops)
            SELECT p_tenant, v_generation, grant_id, terms_number, valid_from, valid_to, pos, ended, grantee, number,
                   kind, actions, scope, policy_id, policy_version, parent, stops
            FROM ops WHERE o = 'o')
        SELECT count(*) FILTER (WHERE place = 1 AND o = 'c'), (SELECT count(*) FROM closed)
            INTO v_due, v_done FROM ops;
        IF v_due <> v_done THEN
            RAISE EXCEPTION 'a permission to be closed is not there' USING ERRCODE = 'CS004';
        END IF;
    END IF;

    IF p_rows @> '[{"t": "s"}]' THEN
        v_generation := (p_generations ->> 'standings')::integer;
        WITH ops AS MATERIALIZED (
            SELECT p_positions[r.e + 1] AS pos, r.*,
                   row_number() OVER key_order AS place,
                   min(p_positions[r.e + 1]) FILTER (WHERE r.o = 'c') OVER later AS ended
            FROM jsonb_to_recordset(p_rows) AS r(e integer, t text, o text, party text, valid_from timestamptz,
                valid_to timestamptz)
            WHERE r.t = 's' AND p_positions[r.e + 1] IS NOT NULL
            WINDOW key_order AS (PARTITION BY r.party, r.valid_from ORDER BY p_positions[r.e + 1], r.o),
                   later AS (key_order ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)),
        closed AS (
            UPDATE standings p SET known_to = o.pos
            FROM (SELECT ops.pos, x.ctid FROM ops CROSS JOIN LATERAL (
                      SELECT x.ctid FROM standings x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation
                          AND x.party = ops.party AND x.valid_from = ops.valid_from AND x.known_to IS NULL
                      ORDER BY x.known_from LIMIT 1) x
                  WHERE ops.place = 1 AND ops.o = 'c') o
            WHERE p.ctid = o.ctid
            RETURNING 1),
        opened AS (
            INSERT INTO standings (tenant_id, generation, party, valid_from, valid_to, known_from, known_to)
            SELECT p_tenant, v_generation, party, valid_from, valid_to, pos, ended FROM ops WHERE o = 'o')
        SELECT count(*) FILTER (WHERE place = 1 AND o = 'c'), (SELECT count(*) FROM closed)
            INTO v_due, v_done FROM ops;
        IF v_due <> v_done THEN
            RAISE EXCEPTION 'a standing to be closed is not there' USING ERRCODE = 'CS004';
        END IF;
    END IF;

    IF p_rows @> '[{"t": "a"}]' THEN
        v_generation := (p_generations ->> 'standings')::integer;
        WITH ops AS MATERIALIZED (
            SELECT p_positions[r.e + 1] AS pos, r.*,
                   row_number() OVER key_order AS place,
                   min(p_positions[r.e + 1]) FILTER (WHERE r.o = 'c') OVER later AS ended
            FROM jsonb_to_recordset(p_rows) AS r(e integer, t text, o text, party text, into_party text,
                valid_from timestamptz)
            WHERE r.t = 'a' AND p_positions[r.e + 1] IS NOT NULL
            WINDOW key_order AS (PARTITION BY r.party ORDER BY p_positions[r.e + 1], r.o),
                   later AS (key_order ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)),
        closed AS (
            UPDATE aliases p SET known_to = o.pos
            FROM (SELECT ops.pos, x.ctid FROM ops CROSS JOIN LATERAL (
                      SELECT x.ctid FROM aliases x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation
                          AND x.party = ops.party AND x.known_to IS NULL
                      ORDER BY x.known_from LIMIT 1) x
                  WHERE ops.place = 1 AND ops.o = 'c') o
            WHERE p.ctid = o.ctid
            RETURNING 1),
        opened AS (
            INSERT INTO aliases (tenant_id, generation, party, into_party, valid_from, known_from, known_to)
            SELECT p_tenant, v_generation, party, into_party, valid_from, pos, ended FROM ops WHERE o = 'o')
        SELECT count(*) FILTER (WHERE place = 1 AND o = 'c'), (SELECT count(*) FROM closed)
            INTO v_due, v_done FROM ops;
        IF v_due <> v_done THEN
            RAISE EXCEPTION 'an alias to be closed is not there' USING ERRCODE = 'CS004';
        END IF;
    END IF;

    IF p_rows @> '[{"t": "p"}]' THEN
        v_generation := (p_generations ->> 'points')::integer;
        WITH ops AS MATERIALIZED (
            SELECT p_positions[r.e + 1] AS pos, r.*,
                   row_number() OVER key_order AS place,
                   min(p_positions[r.e + 1]) FILTER (WHERE r.o = 'c') OVER later AS ended
            FROM jsonb_to_recordset(p_rows) AS r(e integer, t text, o text, dimension text, path text,
                valid_from timestamptz, valid_to timestamptz, names jsonb, attributes jsonb)
            WHERE r.t = 'p' AND p_positions[r.e + 1] IS NOT NULL
            WINDOW key_order AS (PARTITION BY r.dimension, r.path ORDER BY p_positions[r.e + 1], r.o),
                   later AS (key_order ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)),
        closed AS (
            UPDATE points p SET known_to = o.pos
            FROM (SELECT ops.pos, x.ctid FROM ops CROSS JOIN LATERAL (
                      SELECT x.ctid FROM points x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation
                          AND x.dimension = ops.dimension AND x.path = ops.path AND x.known_to IS NULL
                      ORDER BY x.known_from LIMIT 1) x
                  WHERE ops.place = 1 AND ops.o = 'c') o
            WHERE p.ctid = o.ctid
            RETURNING 1),
        opened AS (
            INSERT INTO points (tenant_id, generation, dimension, path, valid_from, valid_to, known_from, known_to,
                names, attributes)
            SELECT p_tenant, v_generation, dimension, path, valid_from, valid_to, pos, ended, names, attributes
            FROM ops WHERE o = 'o')
        SELECT count(*) FILTER (WHERE place = 1 AND o = 'c'), (SELECT count(*) FROM closed)
            INTO v_due, v_done FROM ops;
        IF v_due <> v_done THEN
            RAISE EXCEPTION 'a point to be closed is not there' USING ERRCODE = 'CS004';
        END IF;
    END IF;
END $$;

-- The live generations of permissions, standings and points.
CREATE FUNCTION live_generations(p_tenant uuid) RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT ARRAY[max(generation) FILTER (WHERE projection = 'permissions'),
                     max(generation) FILTER (WHERE projection = 'standings'),
                     max(generation) FILTER (WHERE projection = 'points')]
        FROM generations
        WHERE tenant_id = p_tenant AND live AND projection IN ('permissions', 'standings', 'points'));

-- Everything that checks of these subjects on these resources rest on, by what was known at a position (NULL: now).
--
--   p_subjects  parties; p_ids their stream ids (NULL where the party has none)
--   p_points    resources as dimension/path
--
-- Each pass is one statement, one snapshot: no answer mixes what never was true together. A second pass follows where
-- a party was merged with others, which are then asked for too, or a generation was swapped in between; the last one
-- has found, in its own snapshot, that nothing was missing. Every part is an index probe for each party and resource
-- asked about, the same now and as of any position; ORDER BY names the index, also while a table is still empty.
CREATE FUNCTION read_check(p_tenant uuid, p_subjects text[], p_ids uuid[], p_points text[], p_as_of bigint,
    OUT o_position bigint, OUT o_recorded_at timestamptz, OUT o_clock text, OUT o_generations integer[],
    OUT o_known boolean[], OUT o_permissions json, OUT o_standings json, OUT o_aliases json, OUT o_points json,
    OUT o_quarantined json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    v_k bigint := coalesce(p_as_of, 9223372036854775807);
    v_parties text[] := p_subjects;
    v_more text[];
    v_live integer[] := live_generations(p_tenant);
    v_permissions integer;
    v_standings integer;
    v_points integer;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    FOR pass IN 1..32 LOOP
        v_permissions := v_live[1];
        v_standings := v_live[2];
        v_points := v_live[3];
        SELECT l.position, nullif(l.recorded_at, '-infinity'), l.clock, live_generations(p_tenant),
               (SELECT array_agg((
                           SELECT split_part(e.type, '.', 1) = split_part(k.party, ':', 1) AND e.position <= v_k
                           FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = k.id
                           ORDER BY e.version LIMIT 1) IS TRUE ORDER BY k.place)
                FROM unnest(p_subjects, p_ids) WITH ORDINALITY AS k(party, id, place)),
               (SELECT json_agg(json_build_array(r.grantee, r.grant_id, r.number, r.kind, r.actions, r.scope,
                           r.terms_number, r.valid_from, nullif(r.valid_to, 'infinity'), r.policy_id, r.policy_version,
                           (SELECT e.type LIKE 'policy.%' AND e.position <= v_k
                            FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = r.policy_id
                            ORDER BY e.version LIMIT 1) IS TRUE,
                           r.parent, r.stops, r.known_from))
                FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                    SELECT p.* FROM permissions p
                    WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grantee = asked.party
                        AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                    ORDER BY p.known_from OFFSET 0) r),
               (SELECT json_agg(json_build_array(asked.party, r.valid_from, nullif(r.valid_to, 'infinity')))
                FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                    SELECT s.valid_from, s.valid_to FROM standings s
                    WHERE s.tenant_id = p_tenant AND s.generation = v_standings AND s.party = asked.party
                        AND s.known_from <= v_k AND (s.known_to IS NULL OR s.known_to > v_k)
                    OFFSET 0) r),
               m.edges, m.more,
               (SELECT json_agg(json_build_array(asked.point, r.attributes))
                FROM unnest(p_points) AS asked(point) CROSS JOIN LATERAL (
                    SELECT p.attributes FROM points p
                    WHERE p.tenant_id = p_tenant AND p.generation = v_points
                        AND p.dimension = split_part(asked.point, '/', 1)
                        AND p.path = substr(asked.point, strpos(asked.point, '/') + 1)
                        AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                    OFFSET 0) r),
               (SELECT json_object_agg(q.stream_id, q.position) FROM quarantined q WHERE q.tenant_id = p_tenant)
            INTO o_position, o_recorded_at, o_clock, o_generations, o_known, o_permissions, o_standings, o_aliases,
                 v_more, o_points, o_quarantined
            FROM ledgers l CROSS JOIN LATERAL (
                SELECT json_agg(json_build_array(r.party, r.into_party, r.valid_from)) AS edges,
                       array_agg(DISTINCT r.other) FILTER (WHERE r.other <> ALL (v_parties)) AS more
                FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                    (SELECT a.party, a.into_party, a.valid_from, a.into_party AS other FROM aliases a
                     WHERE a.tenant_id = p_tenant AND a.generation = v_standings AND a.party = asked.party
                        AND a.known_from <= v_k AND (a.known_to IS NULL OR a.known_to > v_k)
                     ORDER BY a.known_from)
                    UNION ALL
                    (SELECT a.party, a.into_party, a.valid_from, a.party FROM aliases a
                     WHERE a.tenant_id = p_tenant AND a.generation = v_standings AND a.into_party = asked.party
                        AND a.known_from <= v_k AND (a.known_to IS NULL OR a.known_to > v_k)
                     ORDER BY a.known_from)) r) m
            WHERE l.tenant_id = p_tenant;
        EXIT WHEN v_more IS NULL AND o_generations = v_live;
        v_live := o_generations;
        v_parties := v_parties || v_more;
    END LOOP;
    IF p_as_of IS NOT NULL THEN
        o_recorded_at := coalesce((
            SELECT b.recorded_at FROM batches b
            WHERE b.tenant_id = p_tenant AND b.first_position <= p_as_of
            ORDER BY b.first_position DESC LIMIT 1), o_recorded_at);
    END IF;
END $$;

-- The head, what changed after a position, and what is in quarantine: what a process asks before it answers from
-- memory. `o_touched` is NULL where more than p_most positions lie between: then everything is to be forgotten.
CREATE FUNCTION read_check_tail(p_tenant uuid, p_after bigint, p_most bigint,
    OUT o_position bigint, OUT o_recorded_at timestamptz, OUT o_clock text, OUT o_generations integer[],
    OUT o_touched text[], OUT o_quarantined json)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    SELECT l.position, nullif(l.recorded_at, '-infinity'), l.clock,
           live_generations(p_tenant),
           CASE WHEN l.position = p_after THEN '{}'::text[]
                WHEN l.position - p_after <= p_most THEN
                    (SELECT coalesce(array_agg(DISTINCT t.key), '{}')
                     FROM (SELECT b.touched FROM batches b
                           WHERE b.tenant_id = p_tenant AND b.first_position > p_after
                           ORDER BY b.first_position OFFSET 0) b, unnest(b.touched) AS t(key))
           END,
           (SELECT json_object_agg(q.stream_id, q.position) FROM quarantined q WHERE q.tenant_id = p_tenant)
        INTO o_position, o_recorded_at, o_clock, o_generations, o_touched, o_quarantined
        FROM ledgers l WHERE l.tenant_id = p_tenant;
END $$;

-- Grants that were to be in force and are not at any instant any more, with their last terms and the type of the event
-- that ended them: what explains a denial when no row is left.
CREATE FUNCTION read_gone(p_tenant uuid, p_parties text[], p_as_of bigint, p_limit integer) RETURNS json
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
SET timezone = 'UTC'
AS $$
#variable_conflict use_column
DECLARE
    v_k bigint := coalesce(p_as_of, 9223372036854775807);
    v_permissions integer := (live_generations(p_tenant))[1];
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN (
        WITH mine AS MATERIALIZED (
            SELECT r.*, bool_or(r.known_to IS NULL OR r.known_to > v_k) OVER (PARTITION BY r.grant_id) AS held
            FROM unnest(p_parties) AS asked(party) CROSS JOIN LATERAL (
                SELECT p.* FROM permissions p
                WHERE p.tenant_id = p_tenant AND p.grantee = asked.party AND p.known_from <= v_k
                    AND p.generation = v_permissions
                ORDER BY p.known_from OFFSET 0) r),
        last AS (
            SELECT DISTINCT ON (grant_id) * FROM mine WHERE NOT held
            ORDER BY grant_id, known_to DESC, valid_from DESC)
        SELECT json_agg(json_build_array(last.grantee, last.grant_id, last.number, last.kind, last.actions, last.scope,
                   last.terms_number, last.valid_from, nullif(last.valid_to, 'infinity'), last.policy_id,
                   last.policy_version, true, last.parent,
                   json_build_array(json_build_object('why', CASE split_part(e.type, '.', 2)
                           WHEN 'suspended' THEN 'suspended' WHEN 'revoked' THEN 'revoked' ELSE 'ended' END,
                       'from', '0001-01-01T00:00:00Z')),
                   last.known_from) ORDER BY last.known_to DESC)
        FROM (SELECT * FROM last ORDER BY known_to DESC LIMIT p_limit) last
        JOIN events e ON e.tenant_id = p_tenant AND e.position = last.known_to);
END $$;

-- The last position recorded at or before an instant; 0 where there was none yet.
CREATE FUNCTION read_position_at(p_tenant uuid, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN coalesce((SELECT b.first_position + b.count - 1 FROM batches b
                     WHERE b.tenant_id = p_tenant AND b.recorded_at <= p_at
                     ORDER BY b.recorded_at DESC LIMIT 1), 0);
END $$;

-- `inline_apply` belongs to the owner like `append`, and nobody else may call it.
REVOKE ALL ON FUNCTION inline_apply, live_generations, read_check, read_check_tail, read_gone, read_position_at FROM PUBLIC;
GRANT SELECT ON permissions, standings, aliases, points, quarantined
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT EXECUTE ON FUNCTION live_generations, read_check, read_check_tail, read_gone, read_position_at
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE, DELETE ON quarantined TO counterseal_projector;
