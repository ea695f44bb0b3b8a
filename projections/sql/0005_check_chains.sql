-- Grants passed on, and teams: what a check follows upwards. See docs/architecture.md, "Project".

-- The grants above a right are found by their id. The predicate holds for every row, and only a query that says it may
-- use this index: so no other plan, made while the table was small, can ever take it (see 0002).
CREATE INDEX permissions_grant ON permissions (tenant_id, generation, grant_id) WHERE known_from > 0;

-- Who belongs to which team: during [valid_from, valid_to) the party is a member of the point `team` of the catalogue's
-- dimension `team`. Written with `standings`, in its generation.
CREATE TABLE memberships (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    party      text NOT NULL,
    team       text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to   timestamptz NOT NULL,
    known_from bigint NOT NULL,
    known_to   bigint,
    PRIMARY KEY (tenant_id, generation, party, valid_from, known_from),
    CHECK (valid_from < valid_to),
    CHECK (known_from < known_to)
) WITH (fillfactor = 80);
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON memberships USING (tenant_id = current_tenant());
GRANT SELECT ON memberships TO counterseal_service, counterseal_projector, counterseal_auditor;

-- The grant it was passed on from: how the timekeeper finds what is left below a grant that ended.
ALTER TABLE grants ADD COLUMN parent uuid;
CREATE INDEX grants_parent ON grants (tenant_id, generation, parent, grant_id)
    WHERE parent IS NOT NULL AND status IN ('scheduled', 'active', 'suspended');

-- As in 0002, and one table more: m memberships.
CREATE OR REPLACE FUNCTION inline_apply(p_tenant uuid, p_generations jsonb, p_positions bigint[], p_rows jsonb) RETURNS void
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

    IF p_rows @> '[{"t": "m"}]' THEN
        v_generation := (p_generations ->> 'standings')::integer;
        WITH ops AS MATERIALIZED (
            SELECT p_positions[r.e + 1] AS pos, r.*,
                   row_number() OVER key_order AS place,
                   min(p_positions[r.e + 1]) FILTER (WHERE r.o = 'c') OVER later AS ended
            FROM jsonb_to_recordset(p_rows) AS r(e integer, t text, o text, party text, team text,
                valid_from timestamptz, valid_to timestamptz)
            WHERE r.t = 'm' AND p_positions[r.e + 1] IS NOT NULL
            WINDOW key_order AS (PARTITION BY r.party, r.valid_from ORDER BY p_positions[r.e + 1], r.o),
                   later AS (key_order ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)),
        closed AS (
            UPDATE memberships p SET known_to = o.pos
            FROM (SELECT ops.pos, x.ctid FROM ops CROSS JOIN LATERAL (
                      SELECT x.ctid FROM memberships x
                      WHERE x.tenant_id = p_tenant AND x.generation = v_generation
                          AND x.party = ops.party AND x.valid_from = ops.valid_from AND x.known_to IS NULL
                      ORDER BY x.known_from LIMIT 1) x
                  WHERE ops.place = 1 AND ops.o = 'c') o
            WHERE p.ctid = o.ctid
            RETURNING 1),
        opened AS (
            INSERT INTO memberships (tenant_id, generation, party, team, valid_from, valid_to, known_from, known_to)
            SELECT p_tenant, v_generation, party, team, valid_from, valid_to, pos, ended FROM ops WHERE o = 'o')
        SELECT count(*) FILTER (WHERE place = 1 AND o = 'c'), (SELECT count(*) FROM closed)
            INTO v_due, v_done FROM ops;
        IF v_due <> v_done THEN
            RAISE EXCEPTION 'a membership to be closed is not there' USING ERRCODE = 'CS004';
        END IF;
    END IF;
END $$;

-- Everything that checks of these subjects on these resources rest on, by what was known at a position (NULL: now).
--
--   p_subjects  parties; p_ids their stream ids (NULL where the party has none)
--   p_points    resources as dimension/path
--   o_permissions  the rights of the subjects, of records merged with them, and of the teams above their own
--   o_above        the rows of the grants that those were passed on from, and of the grants above these
--   o_standings    of all who were given one of them; a team stands while its point does
--
-- Each pass is one statement, one snapshot: no answer mixes what never was true together. Another pass follows where
-- a party was merged with others, belongs to a team, has what was passed on, or a generation was swapped in between;
-- the last one has found, in its own snapshot, that nothing was missing. Every part is an index probe for each party,
-- grant and resource asked about, the same now and as of any position; ORDER BY names the index, also while a table is
-- still empty.
DROP FUNCTION read_check(uuid, text[], uuid[], text[], bigint);
CREATE FUNCTION read_check(p_tenant uuid, p_subjects text[], p_ids uuid[], p_points text[], p_as_of bigint,
    OUT o_position bigint, OUT o_recorded_at timestamptz, OUT o_clock text, OUT o_generations integer[],
    OUT o_known boolean[], OUT o_permissions json, OUT o_above json, OUT o_standings json, OUT o_aliases json,
    OUT o_members json, OUT o_points json, OUT o_quarantined json)
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
    v_others text[] := '{}';
    v_grants text[] := '{}';
    v_id CONSTANT text := '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$';
    v_plain boolean := array_to_string(p_subjects || p_points, E'\n') !~ '(^|\n)(staff:|team:|customer/)';
    v_live integer[] := live_generations(p_tenant);
    v_merged text[];
    v_teams text[];
    v_parents text[];
    v_holders text[];
    v_permissions integer;
    v_standings integer;
    v_points integer;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    FOR pass IN 1..32 LOOP
        v_permissions := v_live[1];
        v_standings := v_live[2];
        v_points := v_live[3];
        IF v_plain THEN
            -- Customers on places and goods, nearly always: less to plan and to start than what follows, and no more
            -- than they need unless something turns out to be passed on.
            SELECT l.position, nullif(l.recorded_at, '-infinity'), l.clock, live_generations(p_tenant),
                   (SELECT array_agg((
                               SELECT split_part(e.type, '.', 1) = split_part(k.party, ':', 1) AND e.position <= v_k
                               FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = k.id
                               ORDER BY e.version LIMIT 1) IS TRUE ORDER BY k.place)
                    FROM unnest(p_subjects, p_ids) WITH ORDINALITY AS k(party, id, place)),
                   own.rows, own.parents,
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
                INTO o_position, o_recorded_at, o_clock, o_generations, o_known, o_permissions, v_parents, o_standings,
                     o_aliases, v_merged, o_points, o_quarantined
                FROM ledgers l CROSS JOIN LATERAL (
                    SELECT json_agg(json_build_array(r.grantee, r.grant_id, r.number, r.kind, r.actions, r.scope,
                               r.terms_number, r.valid_from, nullif(r.valid_to, 'infinity'), r.policy_id, r.policy_version,
                               (SELECT e.type LIKE 'policy.%' AND e.position <= v_k
                                FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = r.policy_id
                                ORDER BY e.version LIMIT 1) IS TRUE,
                               r.parent, r.stops, r.known_from)) AS rows,
                           array_agg(r.parent) FILTER (WHERE r.parent ~ v_id) AS parents
                    FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                        SELECT p.* FROM permissions p
                        WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grantee = asked.party
                            AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                        ORDER BY p.known_from OFFSET 0) r) own
                CROSS JOIN LATERAL (
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
        ELSE
            SELECT l.position, nullif(l.recorded_at, '-infinity'), l.clock, live_generations(p_tenant),
                   (SELECT array_agg((
                               SELECT split_part(e.type, '.', 1) = split_part(k.party, ':', 1) AND e.position <= v_k
                               FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = k.id
                               ORDER BY e.version LIMIT 1) IS TRUE ORDER BY k.place)
                    FROM unnest(p_subjects, p_ids) WITH ORDINALITY AS k(party, id, place)),
                   own.rows, above.rows, own.parents || above.parents, above.holders || merged.beyond,
                   (SELECT json_agg(json_build_array(asked.party, nullif(r.valid_from, '-infinity'),
                               nullif(r.valid_to, 'infinity')))
                    FROM unnest(v_parties || v_others) AS asked(party) CROSS JOIN LATERAL (
                        (SELECT s.valid_from, s.valid_to FROM standings s
                         WHERE s.tenant_id = p_tenant AND s.generation = v_standings AND s.party = asked.party
                             AND s.known_from <= v_k AND (s.known_to IS NULL OR s.known_to > v_k)
                         OFFSET 0)
                        UNION ALL
                        (SELECT p.valid_from, p.valid_to FROM points p
                         WHERE asked.party LIKE 'team:%' AND p.tenant_id = p_tenant AND p.generation = v_points
                             AND p.dimension = 'team' AND p.path = substr(asked.party, 6)
                             AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                         OFFSET 0)) r),
                   merged.edges, merged.more, member.rows, member.teams,
                   (SELECT json_agg(json_build_array(asked.point, r.attributes))
                    FROM unnest(p_points) AS asked(point) CROSS JOIN LATERAL (
                        (SELECT p.attributes FROM points p
                         WHERE p.tenant_id = p_tenant AND p.generation = v_points
                             AND p.dimension = split_part(asked.point, '/', 1)
                             AND p.path = substr(asked.point, strpos(asked.point, '/') + 1)
                             AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                         OFFSET 0)
                        UNION ALL
                        (SELECT p.attributes FROM points p
                         WHERE asked.point LIKE 'customer/%' AND p.tenant_id = p_tenant AND p.generation = v_points
                             AND p.dimension = asked.point
                             AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                         OFFSET 0)) r),
                   (SELECT json_object_agg(q.stream_id, q.position) FROM quarantined q WHERE q.tenant_id = p_tenant)
                INTO o_position, o_recorded_at, o_clock, o_generations, o_known, o_permissions, o_above, v_parents,
                     v_holders, o_standings, o_aliases, v_merged, o_members, v_teams, o_points, o_quarantined
                FROM ledgers l
                CROSS JOIN LATERAL (
                    SELECT json_agg(json_build_array(r.grantee, r.grant_id, r.number, r.kind, r.actions, r.scope,
                               r.terms_number, r.valid_from, nullif(r.valid_to, 'infinity'), r.policy_id, r.policy_version,
                               (SELECT e.type LIKE 'policy.%' AND e.position <= v_k
                                FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = r.policy_id
                                ORDER BY e.version LIMIT 1) IS TRUE,
                               r.parent, r.stops, r.known_from)) AS rows,
                           array_agg(r.parent) FILTER (WHERE r.parent <> ALL (v_grants) AND r.parent ~ v_id) AS parents
                    FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                        SELECT p.* FROM permissions p
                        WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grantee = asked.party
                            AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                        ORDER BY p.known_from OFFSET 0) r) own
                CROSS JOIN LATERAL (
                    SELECT json_agg(json_build_array(r.grantee, r.grant_id, r.number, r.kind, r.actions, r.scope,
                               r.terms_number, r.valid_from, nullif(r.valid_to, 'infinity'), r.policy_id, r.policy_version,
                               (SELECT e.type LIKE 'policy.%' AND e.position <= v_k
                                FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = r.policy_id
                                ORDER BY e.version LIMIT 1) IS TRUE,
                               r.parent, r.stops, r.known_from)) AS rows,
                           array_agg(r.parent) FILTER (WHERE r.parent <> ALL (v_grants) AND r.parent ~ v_id) AS parents,
                           array_agg(r.grantee) FILTER (WHERE r.grantee <> ALL (v_parties || v_others)) AS holders
                    FROM unnest(v_grants) AS asked(id) CROSS JOIN LATERAL (
                        SELECT p.* FROM permissions p
                        WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grant_id = asked.id::uuid
                            AND p.known_from > 0 AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                        ORDER BY p.known_from OFFSET 0) r) above
                CROSS JOIN LATERAL (
                    SELECT json_agg(json_build_array(r.party, r.into_party, r.valid_from)) AS edges,
                           array_agg(r.other) FILTER (WHERE r.other <> ALL (v_parties)
                               AND asked.place <= cardinality(v_parties)) AS more,
                           array_agg(r.other) FILTER (WHERE r.other <> ALL (v_parties || v_others)
                               AND asked.place > cardinality(v_parties)) AS beyond
                    FROM unnest(v_parties || v_others) WITH ORDINALITY AS asked(party, place) CROSS JOIN LATERAL (
                        (SELECT a.party, a.into_party, a.valid_from, a.into_party AS other FROM aliases a
                         WHERE a.tenant_id = p_tenant AND a.generation = v_standings AND a.party = asked.party
                            AND a.known_from <= v_k AND (a.known_to IS NULL OR a.known_to > v_k)
                         ORDER BY a.known_from)
                        UNION ALL
                        (SELECT a.party, a.into_party, a.valid_from, a.party FROM aliases a
                         WHERE a.tenant_id = p_tenant AND a.generation = v_standings AND a.into_party = asked.party
                            AND asked.place <= cardinality(v_parties)
                            AND a.known_from <= v_k AND (a.known_to IS NULL OR a.known_to > v_k)
                         ORDER BY a.known_from)) r) merged
                CROSS JOIN LATERAL (
                    SELECT json_agg(json_build_array(asked.party, r.team, r.valid_from, nullif(r.valid_to, 'infinity')))
                               AS rows,
                           array_agg(r.team) FILTER (WHERE 'team:' || r.team <> ALL (v_parties)) AS teams
                    FROM unnest(v_parties) AS asked(party) CROSS JOIN LATERAL (
                        SELECT s.team, s.valid_from, s.valid_to FROM memberships s
                        WHERE asked.party LIKE 'staff:%' AND s.tenant_id = p_tenant AND s.generation = v_standings
                            AND s.party = asked.party
                            AND s.known_from <= v_k AND (s.known_to IS NULL OR s.known_to > v_k)
                        OFFSET 0) r) member
                WHERE l.tenant_id = p_tenant;
        END IF;
        v_plain := v_plain AND v_parents IS NULL;
        EXIT WHEN v_merged IS NULL AND v_teams IS NULL AND v_parents IS NULL AND v_holders IS NULL
            AND o_generations = v_live;
        v_live := o_generations;
        IF v_parents IS NOT NULL THEN
            -- All the way up at once; what this statement sees, the next pass looks at again.
            WITH RECURSIVE up AS (
                SELECT r.grantee, r.parent, 1 AS level FROM unnest(v_parents) AS asked(id) CROSS JOIN LATERAL (
                    SELECT p.grantee, p.parent FROM permissions p
                    WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grant_id = asked.id::uuid
                        AND p.known_from > 0 AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                    ORDER BY p.known_from OFFSET 0) r
                UNION
                SELECT r.grantee, r.parent, up.level + 1 FROM up CROSS JOIN LATERAL (
                    SELECT p.grantee, p.parent FROM permissions p
                    WHERE p.tenant_id = p_tenant AND p.generation = v_permissions
                        AND p.grant_id = CASE WHEN up.parent ~ v_id THEN up.parent::uuid END
                        AND p.known_from > 0 AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                    ORDER BY p.known_from OFFSET 0) r
                WHERE up.level < 8)
            SELECT v_parents || array_agg(up.parent) FILTER (WHERE up.parent ~ v_id), v_holders || array_agg(up.grantee)
                INTO v_parents, v_holders FROM up;
            v_grants := ARRAY(SELECT DISTINCT g FROM unnest(v_grants || v_parents) AS t(g));
        END IF;
        IF v_teams IS NOT NULL THEN
            v_merged := v_merged || ARRAY(
                SELECT DISTINCT 'team:' || array_to_string((string_to_array(t.team, '/'))[1:n], '/')
                FROM unnest(v_teams) AS t(team), generate_series(1, cardinality(string_to_array(t.team, '/'))) AS n);
        END IF;
        v_parties := v_parties || ARRAY(
            SELECT DISTINCT p FROM unnest(v_merged) AS t(p) WHERE p <> ALL (v_parties));
        v_others := ARRAY(
            SELECT DISTINCT p FROM unnest(v_others || v_holders) AS t(p) WHERE p <> ALL (v_parties));
    END LOOP;
    IF p_as_of IS NOT NULL THEN
        o_recorded_at := coalesce((
            SELECT b.recorded_at FROM batches b
            WHERE b.tenant_id = p_tenant AND b.first_position <= p_as_of
            ORDER BY b.first_position DESC LIMIT 1), o_recorded_at);
    END IF;
END $$;

-- Grants that were to be in force and are not at any instant any more, with their last terms and the type of the event
-- that ended them: what explains a denial when no row is left. Of these parties, and these grants above.
DROP FUNCTION read_gone(uuid, text[], bigint, integer);
CREATE FUNCTION read_gone(p_tenant uuid, p_parties text[], p_grants uuid[], p_as_of bigint, p_limit integer)
RETURNS json
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
        WITH asked AS MATERIALIZED (
            SELECT r.* FROM unnest(p_parties) AS asked(party) CROSS JOIN LATERAL (
                SELECT p.* FROM permissions p
                WHERE p.tenant_id = p_tenant AND p.grantee = asked.party AND p.known_from <= v_k
                    AND p.generation = v_permissions
                ORDER BY p.known_from OFFSET 0) r
            UNION ALL
            SELECT r.* FROM unnest(p_grants) AS asked(id) CROSS JOIN LATERAL (
                SELECT p.* FROM permissions p
                WHERE p.tenant_id = p_tenant AND p.grant_id = asked.id AND p.known_from > 0 AND p.known_from <= v_k
                    AND p.generation = v_permissions AND p.grantee <> ALL (p_parties)
                ORDER BY p.known_from OFFSET 0) r),
        mine AS (
            SELECT asked.*, bool_or(known_to IS NULL OR known_to > v_k) OVER (PARTITION BY grant_id) AS held
            FROM asked),
        last AS (
            SELECT DISTINCT ON (grant_id) * FROM mine WHERE NOT held
            ORDER BY grant_id, known_to DESC, valid_from DESC)
        SELECT json_agg(json_build_array(last.grantee, last.grant_id, last.number, last.kind, last.actions, last.scope,
                   last.terms_number, last.valid_from, nullif(last.valid_to, 'infinity'), last.policy_id,
                   last.policy_version, true, last.parent,
                   json_build_array(json_build_object('why', CASE split_part(e.type, '.', 2)
                           WHEN 'suspended' THEN 'suspended' WHEN 'revoked' THEN 'revoked'
                           WHEN 'error_marked' THEN 'error' ELSE 'ended' END,
                       'from', '0001-01-01T00:00:00Z')),
                   last.known_from) ORDER BY last.known_to DESC)
        FROM (SELECT * FROM last ORDER BY known_to DESC LIMIT p_limit) last
        JOIN events e ON e.tenant_id = p_tenant AND e.position = last.known_to);
END $$;

REVOKE ALL ON FUNCTION read_check, read_gone FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_check, read_gone
    TO counterseal_service, counterseal_projector, counterseal_auditor;
