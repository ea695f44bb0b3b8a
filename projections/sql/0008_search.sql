-- Candidates of searches: who might have a right, which points might be covered. See docs/api.md, "Searching".
--
-- A search decides each candidate as a check would; these functions only say where to look. They may name too many,
-- never too few, and each call walks an index for no more than it was told to.

-- In the order of code points, whatever the database's own order is: all below a path lie side by side. The column itself,
-- so that the table keeps one index: beside a second one a plan made before the table was ever analysed takes the wrong one.
ALTER TABLE points ALTER COLUMN path TYPE text COLLATE "C";

-- Customers or staff members behind another one, in the order of their refs, who may have a right to do p_action on a
-- p_dimension by what was known at a position (NULL: now): grantees of such a permission, members of teams that are or
-- lie below one, and whoever was merged with another one.
--
--   p_examined  how many parties are looked at, at the most
--   o_last      the last one looked at; NULL where there is none behind it
CREATE FUNCTION search_subjects(p_tenant uuid, p_kind text, p_action text, p_dimension text, p_after text,
    p_examined integer, p_as_of bigint, OUT o_parties text[], OUT o_last text)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_k bigint := coalesce(p_as_of, 9223372036854775807);
    v_live integer[] := live_generations(p_tenant);
    v_permissions integer := v_live[1];
    v_standings integer := v_live[2];
    v_end text := p_kind || ':g';  -- ids are lower-case hexadecimal: all of a kind's lie before it
    v_last text := coalesce(p_after, p_kind || ':');
    v_grantee text := v_last;
    v_merged text := v_last;
    v_into text := v_last;
    v_member text := v_last;
    v_candidate boolean;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    o_parties := '{}';
    FOR examined IN 1..p_examined LOOP
        IF v_grantee <= v_last THEN
            v_grantee := (SELECT p.grantee FROM permissions p
                          WHERE p.tenant_id = p_tenant AND p.generation = v_permissions
                              AND p.grantee > v_last AND p.grantee < v_end
                          ORDER BY p.tenant_id, p.generation, p.grantee LIMIT 1);
        END IF;
        IF v_merged <= v_last THEN
            v_merged := (SELECT a.party FROM aliases a
                         WHERE a.tenant_id = p_tenant AND a.generation = v_standings
                             AND a.party > v_last AND a.party < v_end
                         ORDER BY a.tenant_id, a.generation, a.party LIMIT 1);
        END IF;
        IF v_into <= v_last THEN
            v_into := (SELECT a.into_party FROM aliases a
                       WHERE a.tenant_id = p_tenant AND a.generation = v_standings
                           AND a.into_party > v_last AND a.into_party < v_end
                       ORDER BY a.tenant_id, a.generation, a.into_party LIMIT 1);
        END IF;
        IF v_member <= v_last THEN
            v_member := (SELECT m.party FROM memberships m
                         WHERE m.tenant_id = p_tenant AND m.generation = v_standings
                             AND m.party > v_last AND m.party < v_end
                         ORDER BY m.tenant_id, m.generation, m.party LIMIT 1);
        END IF;
        v_last := least(v_grantee, v_merged, v_into, v_member);
        EXIT WHEN v_last IS NULL;
        o_last := v_last;
        v_candidate := v_last IN (v_merged, v_into) IS TRUE OR EXISTS (
            SELECT 1 FROM permissions p
            WHERE p.tenant_id = p_tenant AND p.generation = v_permissions AND p.grantee = v_last
                AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                AND p_action = ANY (p.actions) AND p.scope ? p_dimension)
        OR v_last = v_member AND EXISTS (
            SELECT 1
            FROM (SELECT string_to_array(m.team, '/') AS steps FROM memberships m
                  WHERE m.tenant_id = p_tenant AND m.generation = v_standings AND m.party = v_last
                      AND m.known_from <= v_k AND (m.known_to IS NULL OR m.known_to > v_k)
                  OFFSET 0) m
            CROSS JOIN LATERAL generate_series(1, cardinality(m.steps)) AS n
            CROSS JOIN LATERAL (
                SELECT 1 FROM permissions p
                WHERE p.tenant_id = p_tenant AND p.generation = v_permissions
                    AND p.grantee = 'team:' || array_to_string(m.steps[1:n], '/')
                    AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
                    AND p_action = ANY (p.actions) AND p.scope ? p_dimension
                OFFSET 0) t);
        IF v_candidate THEN
            o_parties := o_parties || v_last;
        END IF;
    END LOOP;
    IF v_last IS NULL THEN
        o_last := NULL;
    END IF;
END $$;

-- Points of a dimension that were known at a position (NULL: now), in the order of code points: those behind p_after
-- that lie in one of the ranges [p_lows[i], p_highs[i]), which are sorted and disjoint.
CREATE FUNCTION search_points(p_tenant uuid, p_dimension text, p_lows text[], p_highs text[], p_after text,
    p_limit integer, p_as_of bigint) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_k bigint := coalesce(p_as_of, 9223372036854775807);
    v_points integer := (live_generations(p_tenant))[3];
    v_found text[] := '{}';
    v_left integer;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    FOR range IN 1..coalesce(array_length(p_lows, 1), 0) LOOP
        v_left := p_limit - cardinality(v_found);
        EXIT WHEN v_left <= 0;
        CONTINUE WHEN p_highs[range] COLLATE "C" <= p_after;
        v_found := v_found || ARRAY(
            SELECT p.path FROM points p
            WHERE p.tenant_id = p_tenant AND p.generation = v_points AND p.dimension = p_dimension
                AND p.path > p_after AND p.path >= p_lows[range] AND p.path < p_highs[range]
                AND p.known_from <= v_k AND (p.known_to IS NULL OR p.known_to > v_k)
            ORDER BY p.tenant_id, p.generation, p.dimension, p.path LIMIT v_left);
    END LOOP;
    RETURN v_found;
END $$;

-- The ids of staff members behind another one, who had been appointed by what was known at a position (NULL: now).
CREATE FUNCTION search_staff(p_tenant uuid, p_after text, p_limit integer, p_as_of bigint) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY INVOKER
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_k bigint := coalesce(p_as_of, 9223372036854775807);
    v_standings integer := (live_generations(p_tenant))[2];
    v_found text[] := '{}';
    v_last text := 'staff:' || p_after;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    WHILE cardinality(v_found) < p_limit LOOP
        v_last := (SELECT s.party FROM standings s
                   WHERE s.tenant_id = p_tenant AND s.generation = v_standings
                       AND s.party > v_last AND s.party < 'staff:g'
                   ORDER BY s.tenant_id, s.generation, s.party LIMIT 1);
        EXIT WHEN v_last IS NULL;
        IF EXISTS (SELECT 1 FROM standings s
                   WHERE s.tenant_id = p_tenant AND s.generation = v_standings AND s.party = v_last
                       AND s.known_from <= v_k) THEN
            v_found := v_found || substr(v_last, 7);
        END IF;
    END LOOP;
    RETURN v_found;
END $$;

REVOKE ALL ON FUNCTION search_subjects, search_points, search_staff FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_subjects, search_points, search_staff TO counterseal_service, counterseal_auditor;
