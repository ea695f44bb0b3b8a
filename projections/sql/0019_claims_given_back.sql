-- A claim may also be looked at only, or take the place of those that its stream held before it: a correction that is
-- proposed takes nothing from anybody, and what an accepted one replaces is free again. See docs/architecture.md,
-- "Append".

-- What a stream holds of the kinds that a correction replaces, without reading all claims under the lock.
CREATE INDEX claims_replaced ON claims (tenant_id, stream_id) WHERE kind IN ('uscc', 'identity_number');

-- As in 0018, with one argument more at the end:
--
--   l_how   of each claim: `hold` (as before this file, whose processes give none), `look`: refused like the others, but
--           nothing is taken; `replace`: what the stream held of this kind until now is given back
DROP FUNCTION append;
CREATE FUNCTION append(
    p_tenant uuid, p_folds jsonb, p_at timestamptz, p_least timestamptz,
    c_id uuid[], c_caller text[], c_key text[], c_fingerprint bytea[], c_outcome bytea[], c_keep boolean[],
    c_causation bigint[], c_reads integer[], c_claims integer[], c_events integer[],
    s_id uuid[],
    r_stream integer[], r_version integer[], r_by integer[],
    l_kind text[], l_hash bytea[], l_stream uuid[],
    e_command integer[], e_stream integer[], e_version integer[], e_type text[], e_actor text[],
    e_on_behalf_of text[], e_data bytea[],
    p_rows jsonb, p_touched text[], p_touched_by integer[], p_brief boolean DEFAULT false,
    gc_event integer[] DEFAULT '{}', gc_terms integer[] DEFAULT '{}', gc_from timestamptz[] DEFAULT '{}',
    gc_grantee text[] DEFAULT '{}',
    go_event integer[] DEFAULT '{}', go_terms integer[] DEFAULT '{}', go_from timestamptz[] DEFAULT '{}',
    go_to timestamptz[] DEFAULT '{}', go_grantee text[] DEFAULT '{}', go_number text[] DEFAULT '{}',
    go_kind text[] DEFAULT '{}', go_actions text[] DEFAULT '{}', go_scope jsonb[] DEFAULT '{}',
    go_policy uuid[] DEFAULT '{}', go_policy_version integer[] DEFAULT '{}', go_parent text[] DEFAULT '{}',
    go_stops jsonb[] DEFAULT '{}',
    l_how text[] DEFAULT '{}',
    OUT o_status text, OUT o_first bigint[], OUT o_count integer[], OUT o_moved integer[], OUT o_outcome bytea[],
    OUT o_position bigint, OUT o_recorded_at timestamptz, OUT o_skewed boolean, OUT o_clock timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_clock text;
    v_last timestamptz;
    v_chain bytea;
    v_generations jsonb;
    v_same boolean;
    n CONSTANT integer := cardinality(c_id);
    v_old bigint;
    cur integer[];
    made integer[];
    top integer[];
    v_plain boolean;
    v_apart boolean;
    k_place integer[]; k_first bigint[]; k_count integer[]; k_outcome bytea[]; k_print bytea[];
    d_before integer[];
    l_owner uuid[]; l_before integer[];
    ok boolean[];
    pos bigint[];
    v_state text;
    v_twice boolean;
    j integer; b integer; k integer; s integer;
    r0 integer := 0; l0 integer := 0; e0 integer := 0;
    v_next bigint;
    v_head bytea;
    v_recorded bytea;
    v_root bytea;
    v_kind text;
    v_stream uuid;
    v_hash bytea;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);

    -- (1) The one lock. Every statement after it sees what is committed when it runs.
    SELECT position, recorded_at, chain, clock INTO v_old, v_last, v_chain, v_clock
        FROM ledgers WHERE tenant_id = p_tenant FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown tenant' USING ERRCODE = 'CS001';
    END IF;
    o_position := v_old;
    o_clock := clock_timestamp();
    o_recorded_at := v_last;
    o_skewed := v_clock = 'system'
        AND (p_at > o_clock + interval '2 seconds' OR p_least < o_clock - interval '2 seconds');
    IF o_skewed THEN
        RETURN;
    END IF;

    -- A process whose folds are not the live ones must not write rows, nor events without their rows.
    IF p_folds IS NOT NULL THEN
        SELECT jsonb_object_agg(projection, generation),
               count(*) = (SELECT count(*) FROM jsonb_object_keys(p_folds))
            INTO v_generations, v_same
            FROM generations WHERE tenant_id = p_tenant AND live AND p_folds ? projection
                AND fold = (p_folds ->> projection)::integer;
        IF NOT v_same THEN
            RAISE EXCEPTION 'the live read models were folded by another release' USING ERRCODE = 'CS002';
        END IF;
    END IF;

    -- What the log knows of these streams, keys and claims, each in one statement; probed one by one, for a plan made
    -- while a table was small is kept, and a join would read the whole table for ever.
    SELECT array_agg(coalesce((SELECT e.version FROM events e WHERE e.tenant_id = p_tenant AND e.stream_id = s_id[g]
                               ORDER BY e.version DESC LIMIT 1), 0) ORDER BY g)
        INTO cur FROM (SELECT generate_series(1, cardinality(s_id)) AS g) AS t;
    SELECT array_agg(g), array_agg(c.first_position), array_agg(c.count), array_agg(c.outcome), array_agg(c.fingerprint)
        INTO k_place, k_first, k_count, k_outcome, k_print
        FROM (SELECT generate_series(1, n) AS g) AS t CROSS JOIN LATERAL (
            SELECT k.first_position, k.count, k.outcome, k.fingerprint FROM commands k
            WHERE k.tenant_id = p_tenant AND k.caller = c_caller[g] AND k.key = c_key[g]
            ORDER BY k.key LIMIT 1) c;
    v_twice := (SELECT count(key) <> count(DISTINCT key) FROM unnest(c_key) AS t(key));
    IF v_twice THEN
        SELECT array_agg(u.before ORDER BY u.place) INTO d_before
            FROM (SELECT place, lag(place) OVER (PARTITION BY caller, key ORDER BY place) AS before
                  FROM unnest(c_caller, c_key) WITH ORDINALITY AS t(caller, key, place)) u;
    END IF;
    IF cardinality(l_kind) > 0 THEN
        SELECT array_agg(c.stream_id ORDER BY u.place), array_agg(u.before ORDER BY u.place)
            INTO l_owner, l_before
            FROM (SELECT kind, hash, place, lag(place) OVER (PARTITION BY kind, hash ORDER BY place) AS before
                  FROM unnest(l_kind, l_hash) WITH ORDINALITY AS t(kind, hash, place)) u
            LEFT JOIN LATERAL (SELECT k.stream_id FROM claims k
                               WHERE k.tenant_id = p_tenant AND k.kind = u.kind AND k.keyed_hash = u.hash
                               ORDER BY k.keyed_hash LIMIT 1) c ON true;
    END IF;

    -- (2) Command by command, each on what the earlier ones of this batch leave. Nearly every batch is plain and can be
    -- compared as a whole: no key is known, nothing is claimed, no two commands write one stream, and every read is of
    -- the log as it stands, of no stream that an earlier command of the batch writes. (width_bucket: how many commands
    -- come before the one that made this read.) Each then finds what it would find after the ones before it.
    v_plain := k_place IS NULL AND NOT v_twice AND cardinality(l_kind) = 0;
    v_apart := v_plain;
    IF v_plain THEN
        made := array_fill(0, ARRAY[greatest(cardinality(s_id), 1)]);
        top := cur;
        FOR j IN 1..cardinality(e_command) LOOP
            s := e_stream[j];
            IF made[s] <> 0 THEN
                v_apart := false;
                v_plain := made[s] = e_command[j];
            END IF;
            v_plain := v_plain AND e_version[j] = top[s] + 1;
            EXIT WHEN NOT v_plain;
            made[s] := e_command[j];
            top[s] := e_version[j];
        END LOOP;
        v_plain := v_plain AND NOT EXISTS (
            SELECT FROM (SELECT generate_series(1, cardinality(r_stream)) AS g) AS t
            WHERE r_by[g] <> 0 OR r_version[g] <> cur[r_stream[g]]
                OR made[r_stream[g]] <> 0 AND made[r_stream[g]] <= width_bucket(g - 1, c_reads));
    END IF;
    v_apart := v_apart AND v_plain;
    v_next := v_old;
    IF v_plain THEN
        o_status := repeat('o', n);
        v_next := v_old + cardinality(e_command);
        pos := ARRAY(SELECT generate_series(v_old + 1, v_next));
        IF NOT p_brief THEN
            SELECT array_agg(v_old + 1 + coalesce(c_events[g - 1], 0) ORDER BY g),
                   array_agg(c_events[g] - coalesce(c_events[g - 1], 0) ORDER BY g)
                INTO o_first, o_count FROM generate_series(1, n) AS g;
            o_moved := array_fill(0, ARRAY[n]);
            o_outcome := array_fill(NULL::bytea, ARRAY[n]);
        END IF;
    ELSE
        ok := array_fill(false, ARRAY[n]);
        o_first := array_fill(NULL::bigint, ARRAY[n]);
        o_count := array_fill(0, ARRAY[n]);
        o_moved := o_count;
        o_outcome := array_fill(NULL::bytea, ARRAY[n]);
        pos := array_fill(NULL::bigint, ARRAY[greatest(cardinality(e_command), 1)]);
        made := array_fill(0, ARRAY[greatest(cardinality(s_id), 1)]);
        o_status := '';
        FOR i IN 1..n LOOP
            v_state := 'o';
            IF k_place IS NOT NULL THEN
                k := array_position(k_place, i);
                IF k IS NOT NULL THEN
                    v_state := CASE WHEN k_print[k] = c_fingerprint[i] THEN 'k' ELSE 'f' END;
                    o_first[i] := k_first[k];
                    o_count[i] := k_count[k];
                    o_outcome[i] := k_outcome[k];
                END IF;
            END IF;
            IF v_twice AND v_state = 'o' AND c_key[i] IS NOT NULL THEN
                j := d_before[i];
                WHILE j IS NOT NULL AND NOT (ok[j] AND c_keep[j]) LOOP
                    j := d_before[j];
                END LOOP;
                IF j IS NOT NULL THEN
                    -- The same key twice in one batch: the outcome of the one that was written stands for both.
                    v_state := CASE WHEN c_fingerprint[j] = c_fingerprint[i] THEN 'k' ELSE 'f' END;
                    o_first[i] := o_first[j];
                    o_count[i] := o_count[j];
                    o_outcome[i] := c_outcome[j];
                END IF;
            END IF;
            IF v_state = 'o' THEN
                FOR j IN r0 + 1..c_reads[i] LOOP
                    IF cur[r_stream[j]] <> r_version[j] OR made[r_stream[j]] <> r_by[j] THEN
                        v_state := 'c';
                        o_moved[i] := r_stream[j];
                        EXIT;
                    END IF;
                END LOOP;
                IF v_state = 'o' AND l0 < c_claims[i] THEN
                    FOR j IN l0 + 1..c_claims[i] LOOP
                        b := l_before[j];
                        WHILE b IS NOT NULL LOOP
                            EXIT WHEN l_stream[b] <> l_stream[j] AND l_how[b] IS DISTINCT FROM 'look'
                                AND ok[(SELECT min(x) FROM generate_series(1, n) x WHERE c_claims[x] >= b)];
                            b := l_before[b];
                        END LOOP;
                        IF b IS NOT NULL OR l_owner[j] <> l_stream[j] THEN
                            v_state := 'l';
                            o_moved[i] := j;
                            EXIT;
                        END IF;
                    END LOOP;
                END IF;
                IF v_state = 'o' THEN
                    ok[i] := true;
                    o_first[i] := v_next + 1;
                    FOR j IN e0 + 1..c_events[i] LOOP
                        IF e_version[j] <> cur[e_stream[j]] + 1 THEN
                            RAISE EXCEPTION 'versions of a stream have no gaps' USING ERRCODE = 'CS003';
                        END IF;
                        cur[e_stream[j]] := e_version[j];
                        made[e_stream[j]] := i;
                        v_next := v_next + 1;
                        pos[j] := v_next;
                    END LOOP;
                    o_count[i] := c_events[i] - e0;
                END IF;
            END IF;
            o_status := o_status || v_state;
            r0 := c_reads[i];
            l0 := c_claims[i];
            e0 := c_events[i];
        END LOOP;
    END IF;

    -- (3) Write what is left. Nothing above has changed a row.
    IF v_next > v_old THEN
        o_recorded_at := CASE WHEN v_clock = 'given'
            THEN greatest(v_last + interval '1 microsecond', p_at)
            ELSE greatest(v_last + interval '1 microsecond', o_clock, p_at) END;
        -- A leaf is SHA-256 of 0x00, then each column behind its length in four bytes, -1 for NULL; all integers are
        -- big-endian. Written out here: as functions of their own they cost ten times the rest of the row.
        v_head := '\x0000000010'::bytea || uuid_send(p_tenant) || '\x00000008'::bytea;
        v_recorded := '\x00000008'::bytea || instant_bytes(o_recorded_at);
        SELECT merkle_root(array_agg(sha256(v_head || int8send(pos[g])
                || '\x00000010'::bytea || uuid_send(s_id[e_stream[g]])
                || '\x00000004'::bytea || int4send(e_version[g])
                || int4send(octet_length(e_type[g])) || convert_to(e_type[g], 'UTF8')
                || v_recorded
                || int4send(octet_length(e_actor[g])) || convert_to(e_actor[g], 'UTF8')
                || coalesce(int4send(octet_length(e_on_behalf_of[g])) || convert_to(e_on_behalf_of[g], 'UTF8'),
                            '\xffffffff')
                || '\x00000010'::bytea || uuid_send(c_id[e_command[g]])
                || coalesce('\x00000008'::bytea || int8send(c_causation[e_command[g]]), '\xffffffff')
                || int4send(length(e_data[g])) || e_data[g]) ORDER BY g))
            INTO v_root FROM (SELECT generate_series(1, cardinality(e_command)) AS g) AS t WHERE pos[g] IS NOT NULL;
        v_chain := sha256(v_chain || v_root || substr(v_recorded, 5));
        INSERT INTO events (tenant_id, position, stream_id, version, type, recorded_at, actor, on_behalf_of,
                            command_id, causation, data)
            SELECT p_tenant, pos[g], s_id[e_stream[g]], e_version[g], e_type[g], o_recorded_at, e_actor[g],
                   e_on_behalf_of[g], c_id[e_command[g]], c_causation[e_command[g]], e_data[g]
            FROM (SELECT generate_series(1, cardinality(e_command)) AS g) AS t WHERE pos[g] IS NOT NULL;
        INSERT INTO batches (tenant_id, first_position, count, recorded_at, root, chain, touched)
            VALUES (p_tenant, v_old + 1, v_next - v_old, o_recorded_at, v_root, v_chain,
                    CASE WHEN cardinality(p_touched) > 0 THEN
                        (SELECT coalesce(array_agg(DISTINCT t.key), '{}')
                         FROM unnest(p_touched, p_touched_by) AS t(key, command)
                         WHERE v_plain OR ok[t.command]) ELSE '{}' END);
        UPDATE ledgers SET position = v_next, recorded_at = o_recorded_at, chain = v_chain WHERE tenant_id = p_tenant;
        IF cardinality(l_kind) > 0 THEN
            INSERT INTO claims (tenant_id, kind, keyed_hash, stream_id)
                SELECT p_tenant, t.kind, t.hash, t.stream
                FROM unnest(l_kind, l_hash, l_stream, l_how) WITH ORDINALITY AS t(kind, hash, stream, how, place)
                WHERE how IS DISTINCT FROM 'look'
                    AND ok[(SELECT min(x) FROM generate_series(1, n) x WHERE c_claims[x] >= t.place)]
                ON CONFLICT DO NOTHING;
            -- Of a stream that replaces twice in one batch the last one stands. A command behind it in the batch that
            -- asks for what is given back here was refused above, as it would have been before it. One by one: of a
            -- join planned while the table was small, all claims of the tenant would be read for ever.
            IF 'replace' = ANY (l_how) THEN
                FOR v_kind, v_stream, v_hash IN
                    SELECT DISTINCT ON (t.kind, t.stream) t.kind, t.stream, t.hash
                    FROM unnest(l_kind, l_hash, l_stream, l_how) WITH ORDINALITY AS t(kind, hash, stream, how, place)
                    WHERE how = 'replace'
                        AND ok[(SELECT min(x) FROM generate_series(1, n) x WHERE c_claims[x] >= t.place)]
                    ORDER BY t.kind, t.stream, t.place DESC
                LOOP
                    DELETE FROM claims c
                        WHERE c.tenant_id = p_tenant AND c.stream_id = v_stream
                            AND c.kind IN ('uscc', 'identity_number') AND c.kind = v_kind AND c.keyed_hash <> v_hash;
                END LOOP;
            END IF;
        END IF;
        IF cardinality(gc_event) > 0 OR cardinality(go_event) > 0 THEN
            PERFORM permissions_apply(p_tenant, (v_generations ->> 'permissions')::integer, pos,
                ARRAY(SELECT s_id[s] FROM unnest(e_stream) WITH ORDINALITY AS t(s, place) ORDER BY place), v_apart,
                gc_event, gc_terms, gc_from, gc_grantee, go_event, go_terms, go_from, go_to, go_grantee, go_number,
                go_kind, go_actions, go_scope, go_policy, go_policy_version, go_parent, go_stops);
        END IF;
        IF p_rows IS NOT NULL THEN
            PERFORM inline_apply(p_tenant, v_generations, pos, p_rows, v_apart);
        END IF;
        o_position := v_next;
    END IF;
    INSERT INTO commands (tenant_id, caller, key, fingerprint, first_position, count, outcome)
        SELECT p_tenant, c_caller[g], c_key[g], c_fingerprint[g],
               CASE WHEN v_plain THEN v_old + 1 + coalesce(c_events[g - 1], 0) ELSE o_first[g] END,
               CASE WHEN v_plain THEN c_events[g] - coalesce(c_events[g - 1], 0) ELSE o_count[g] END, c_outcome[g]
        FROM (SELECT generate_series(1, n) AS g) AS t
        WHERE c_keep[g] AND c_key[g] IS NOT NULL AND (v_plain OR ok[g]);
    -- The transaction commits when this statement ends. A crash before leaves nothing of it; a crash after, all of it,
    -- and whoever did not get the answer finds it by the key.
END $$;

REVOKE ALL ON FUNCTION append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append TO counterseal_service;
