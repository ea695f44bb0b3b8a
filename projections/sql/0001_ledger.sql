-- The ledger: one log a tenant, and the one function that writes it. See docs/architecture.md, "Append".

CREATE TABLE tenants (
    tenant_id   uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The head row. Its lock is the only lock an append takes. `clock` is 'system', or 'given' for a tenant whose instants
-- come from the caller (samples, tests); it never changes.
CREATE TABLE ledgers (
    tenant_id   uuid PRIMARY KEY REFERENCES tenants,
    position    bigint NOT NULL DEFAULT 0,
    recorded_at timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00Z',
    chain       bytea NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
    clock       text NOT NULL DEFAULT 'system' CHECK (clock IN ('system', 'given'))
) WITH (fillfactor = 10);

CREATE TABLE events (
    tenant_id    uuid NOT NULL,
    position     bigint NOT NULL,
    stream_id    uuid NOT NULL,
    version      integer NOT NULL,
    type         text NOT NULL,
    recorded_at  timestamptz NOT NULL,
    actor        text NOT NULL,
    on_behalf_of text,
    command_id   uuid NOT NULL,
    causation    bigint,
    data         bytea NOT NULL,
    PRIMARY KEY (tenant_id, position),
    UNIQUE (tenant_id, stream_id, version)
);
ALTER TABLE events ALTER COLUMN data SET STORAGE EXTERNAL;

-- The few events that say who works here: publishing a policy asks whether its stages can be staffed.
CREATE INDEX events_staff ON events (tenant_id, stream_id) WHERE type = 'staff.appointed.1';

-- One row an append: the hashes, the index from instant to position, and the keys of the inline rows it touched
-- (`touched` is derived and outside the hash: it tells other processes what to forget).
CREATE TABLE batches (
    tenant_id      uuid NOT NULL,
    first_position bigint NOT NULL,
    count          integer NOT NULL,
    recorded_at    timestamptz NOT NULL,
    root           bytea NOT NULL,
    chain          bytea NOT NULL,
    touched        text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, first_position)
);
CREATE UNIQUE INDEX batches_recorded_at ON batches (tenant_id, recorded_at);

CREATE TABLE commands (
    tenant_id      uuid NOT NULL,
    caller         text NOT NULL,
    key            text NOT NULL,
    fingerprint    bytea NOT NULL,
    first_position bigint NOT NULL,
    count          integer NOT NULL,
    outcome        bytea NOT NULL,
    PRIMARY KEY (tenant_id, caller, key)
);

CREATE TABLE claims (
    tenant_id  uuid NOT NULL,
    kind       text NOT NULL,
    keyed_hash bytea NOT NULL,
    stream_id  uuid NOT NULL,
    PRIMARY KEY (tenant_id, kind, keyed_hash)
);

CREATE TABLE generations (
    tenant_id  uuid NOT NULL,
    projection text NOT NULL,
    generation integer NOT NULL,
    fold       integer NOT NULL,
    live       boolean NOT NULL,
    PRIMARY KEY (tenant_id, projection, generation)
);
CREATE UNIQUE INDEX generations_live ON generations (tenant_id, projection) WHERE live;

CREATE TABLE checkpoints (
    tenant_id  uuid NOT NULL,
    projection text NOT NULL,
    generation integer NOT NULL,
    position   bigint NOT NULL DEFAULT 0,
    checksum   bytea,
    PRIMARY KEY (tenant_id, projection, generation)
);

-- Nothing in the log is ever changed, by its owner neither.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on % is refused', tg_op, tg_table_name
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON batches FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON batches FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The second wall between tenants. Without the setting there is no row: a missing context fails closed.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('counterseal.tenant', true), '')::uuid;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['events', 'batches', 'commands', 'claims'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

-- Microseconds since 1970-01-01 UTC in eight bytes.
CREATE FUNCTION instant_bytes(instant timestamptz) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int8send((extract(epoch FROM instant) * 1000000)::bigint);

-- The root of a batch's Merkle tree (RFC 6962, 2.1): neighbours are joined level by level, an odd one out moves up
-- unchanged, which gives the same tree as the RFC's split at the largest power of two. Each level is written over the
-- one before.
CREATE FUNCTION merkle_root(leaves bytea[]) RETURNS bytea LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    level bytea[] := leaves;
    n integer := cardinality(leaves);
BEGIN
    WHILE n > 1 LOOP
        FOR i IN 1..n / 2 LOOP
            level[i] := sha256('\x01'::bytea || level[2 * i - 1] || level[2 * i]);
        END LOOP;
        IF n % 2 = 1 THEN
            level[n / 2 + 1] := level[n];
        END IF;
        n := (n + 1) / 2;
    END LOOP;
    RETURN level[1];
END $$;

-- Append a batch of commands to one tenant's log, in order, in one transaction. See docs/architecture.md.
--
--   commands  c_*: id, caller, key (NULL: none), fingerprint, outcome to keep, whether to keep it, causation,
--             and where its reads, claims and events end in the flat arrays (r_*, l_*, e_*); a command's slice starts
--             where the one before ends
--   reads     r_by: the command of this batch that made the version read, 0 for the log. A version alone is not
--             enough: where another process was first, its event has the very number our uncommitted one had
--   streams   s_id: each stream once; reads and events name it by its place in here, from 1
--   p_at      the greatest `at` of the batch that is not imported, p_least the least
--   p_rows    the inline rows, each with the place of its event from 0; p_touched their keys by command place
--
-- Status of each command: o written (or confirmed, where nothing was to be written), k known key, f known key with
-- another fingerprint, c a read moved, l a claim is taken. With p_skewed true nothing was written: an `at` is too far
-- from this clock, decide again.
CREATE FUNCTION append(
    p_tenant uuid, p_folds jsonb, p_at timestamptz, p_least timestamptz,
    c_id uuid[], c_caller text[], c_key text[], c_fingerprint bytea[], c_outcome bytea[], c_keep boolean[],
    c_causation bigint[], c_reads integer[], c_claims integer[], c_events integer[],
    s_id uuid[],
    r_stream integer[], r_version integer[], r_by integer[],
    l_kind text[], l_hash bytea[], l_stream uuid[],
    e_command integer[], e_stream integer[], e_version integer[], e_type text[], e_actor text[],
    e_on_behalf_of text[], e_data bytea[],
    p_rows jsonb, p_touched text[], p_touched_by integer[],
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
    v_now timestamptz;
    v_generations jsonb;
    n integer := cardinality(c_id);
    cur integer[];
    made integer[];
    k_first bigint[]; k_count integer[]; k_outcome bytea[]; k_print bytea[];
    d_first integer[];
    l_owner uuid[]; l_before integer[];
    st text[];
    pos bigint[];
    ok boolean[];
    v_next bigint;
    v_total integer := 0;
    i integer; j integer; b integer;
    r0 integer := 0; l0 integer := 0; e0 integer := 0;
    v_leaves bytea[];
    v_root bytea;
    v_recorded bytea;
    v_head bytea;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);

    -- (1) The one lock. Every statement after it sees what is committed when it runs.
    SELECT position, recorded_at, chain, clock INTO o_position, v_last, v_chain, v_clock
        FROM ledgers WHERE tenant_id = p_tenant FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown tenant' USING ERRCODE = 'CS001';
    END IF;
    v_now := clock_timestamp();
    o_clock := v_now;
    o_recorded_at := v_last;
    o_skewed := v_clock = 'system'
        AND (p_at > v_now + interval '2 seconds' OR p_least < v_now - interval '2 seconds');
    IF o_skewed THEN
        RETURN;
    END IF;

    -- A process whose folds are not the live ones must not write rows, nor events without their rows.
    IF p_folds IS NOT NULL THEN
        SELECT jsonb_object_agg(projection, generation) INTO v_generations
            FROM generations WHERE tenant_id = p_tenant AND live AND p_folds ? projection
                AND fold = (p_folds ->> projection)::integer;
        IF (SELECT count(*) FROM jsonb_object_keys(p_folds))
                IS DISTINCT FROM (SELECT count(*) FROM jsonb_object_keys(coalesce(v_generations, '{}'))) THEN
            RAISE EXCEPTION 'the live read models were folded by another release' USING ERRCODE = 'CS002';
        END IF;
    END IF;

    -- What the log knows of these streams, keys and claims, each in one statement; probed one by one, for a plan made
    -- while a table was small is kept, and a join would read the whole table for ever.
    SELECT array_agg(coalesce(h.version, 0) ORDER BY u.place) INTO cur
        FROM unnest(s_id) WITH ORDINALITY AS u(stream_id, place)
        LEFT JOIN LATERAL (SELECT e.version FROM events e
                           WHERE e.tenant_id = p_tenant AND e.stream_id = u.stream_id
                           ORDER BY e.version DESC LIMIT 1) h ON true;
    SELECT array_agg(c.first_position ORDER BY u.place), array_agg(c.count ORDER BY u.place),
           array_agg(c.outcome ORDER BY u.place), array_agg(c.fingerprint ORDER BY u.place),
           array_agg(u.first_place ORDER BY u.place)
        INTO k_first, k_count, k_outcome, k_print, d_first
        FROM (SELECT caller, key, place, min(place) OVER (PARTITION BY caller, key, key IS NULL) AS first_place
              FROM unnest(c_caller, c_key) WITH ORDINALITY AS t(caller, key, place)) u
        LEFT JOIN LATERAL (SELECT k.first_position, k.count, k.outcome, k.fingerprint FROM commands k
                           WHERE k.tenant_id = p_tenant AND k.caller = u.caller AND k.key = u.key
                           ORDER BY k.key LIMIT 1) c ON true;
    IF cardinality(l_kind) > 0 THEN
        SELECT array_agg(c.stream_id ORDER BY u.place), array_agg(u.before ORDER BY u.place)
            INTO l_owner, l_before
            FROM (SELECT kind, hash, place, lag(place) OVER (PARTITION BY kind, hash ORDER BY place) AS before
                  FROM unnest(l_kind, l_hash) WITH ORDINALITY AS t(kind, hash, place)) u
            LEFT JOIN LATERAL (SELECT k.stream_id FROM claims k
                               WHERE k.tenant_id = p_tenant AND k.kind = u.kind AND k.keyed_hash = u.hash
                               ORDER BY k.keyed_hash LIMIT 1) c ON true;
    END IF;

    -- (2) Command by command, each on what the earlier ones of this batch leave.
    st := array_fill('o'::text, ARRAY[n]);
    ok := array_fill(false, ARRAY[n]);
    o_first := array_fill(NULL::bigint, ARRAY[n]);
    o_count := array_fill(0, ARRAY[n]);
    o_moved := array_fill(0, ARRAY[n]);
    o_outcome := array_fill(NULL::bytea, ARRAY[n]);
    pos := array_fill(NULL::bigint, ARRAY[greatest(cardinality(e_command), 1)]);
    made := array_fill(0, ARRAY[greatest(cardinality(s_id), 1)]);
    v_next := o_position;
    FOR i IN 1..n LOOP
        IF k_first[i] IS NOT NULL THEN
            st[i] := CASE WHEN k_print[i] = c_fingerprint[i] THEN 'k' ELSE 'f' END;
            o_first[i] := k_first[i];
            o_count[i] := k_count[i];
            o_outcome[i] := k_outcome[i];
        ELSIF c_key[i] IS NOT NULL AND d_first[i] < i AND ok[d_first[i]] AND c_keep[d_first[i]] THEN
            -- The same key twice in one batch: the first one's outcome stands for both.
            j := d_first[i];
            st[i] := CASE WHEN c_fingerprint[j] = c_fingerprint[i] THEN 'k' ELSE 'f' END;
            o_first[i] := o_first[j];
            o_count[i] := o_count[j];
            o_outcome[i] := c_outcome[j];
        ELSE
            FOR j IN r0 + 1..c_reads[i] LOOP
                IF cur[r_stream[j]] <> r_version[j] OR made[r_stream[j]] <> r_by[j] THEN
                    st[i] := 'c';
                    o_moved[i] := r_stream[j];
                    EXIT;
                END IF;
            END LOOP;
            IF st[i] = 'o' THEN
                FOR j IN l0 + 1..c_claims[i] LOOP
                    b := l_before[j];
                    WHILE b IS NOT NULL LOOP
                        EXIT WHEN l_stream[b] <> l_stream[j]
                            AND ok[(SELECT min(x) FROM generate_series(1, n) x WHERE c_claims[x] >= b)];
                        b := l_before[b];
                    END LOOP;
                    IF b IS NOT NULL OR l_owner[j] <> l_stream[j] THEN
                        st[i] := 'l';
                        o_moved[i] := j;
                        EXIT;
                    END IF;
                END LOOP;
            END IF;
            IF st[i] = 'o' THEN
                ok[i] := true;
                o_first[i] := v_next + 1;
                o_count[i] := c_events[i] - e0;
                FOR j IN e0 + 1..c_events[i] LOOP
                    IF e_version[j] <> cur[e_stream[j]] + 1 THEN
                        RAISE EXCEPTION 'versions of a stream have no gaps' USING ERRCODE = 'CS003';
                    END IF;
                    cur[e_stream[j]] := e_version[j];
                    made[e_stream[j]] := i;
                    v_next := v_next + 1;
                    pos[j] := v_next;
                END LOOP;
            END IF;
        END IF;
        r0 := c_reads[i];
        l0 := c_claims[i];
        e0 := c_events[i];
    END LOOP;
    o_status := array_to_string(st, '');
    v_total := v_next - o_position;

    -- (3) Write what is left. Nothing above has changed a row.
    IF v_total > 0 THEN
        o_recorded_at := CASE WHEN v_clock = 'given'
            THEN greatest(v_last + interval '1 microsecond', p_at)
            ELSE greatest(v_last + interval '1 microsecond', v_now, p_at) END;
        v_recorded := instant_bytes(o_recorded_at);
        -- A leaf is SHA-256 of 0x00, then each column behind its length in four bytes, -1 for NULL; all integers are
        -- big-endian. Written out here: as functions of their own they cost ten times the rest of the row.
        v_head := '\x0000000010'::bytea || uuid_send(p_tenant) || '\x00000008'::bytea;
        v_recorded := '\x00000008'::bytea || v_recorded;
        WITH source AS MATERIALIZED (
            SELECT u.pos, s_id[u.stream] AS stream_id, u.version, u.type, u.actor, u.on_behalf_of,
                   c_id[u.command] AS command_id, c_causation[u.command] AS causation, u.data
            FROM unnest(pos, e_command, e_stream, e_version, e_type, e_actor, e_on_behalf_of, e_data)
                AS u(pos, command, stream, version, type, actor, on_behalf_of, data)
            WHERE u.pos IS NOT NULL),
        written AS (
            INSERT INTO events (tenant_id, position, stream_id, version, type, recorded_at, actor, on_behalf_of,
                                command_id, causation, data)
            SELECT p_tenant, pos, stream_id, version, type, o_recorded_at, actor, on_behalf_of, command_id, causation,
                   data
            FROM source)
        SELECT array_agg(sha256(v_head || int8send(pos)
                || '\x00000010'::bytea || uuid_send(stream_id)
                || '\x00000004'::bytea || int4send(version)
                || int4send(octet_length(type)) || convert_to(type, 'UTF8')
                || v_recorded
                || int4send(octet_length(actor)) || convert_to(actor, 'UTF8')
                || coalesce(int4send(octet_length(on_behalf_of)) || convert_to(on_behalf_of, 'UTF8'), '\xffffffff')
                || '\x00000010'::bytea || uuid_send(command_id)
                || coalesce('\x00000008'::bytea || int8send(causation), '\xffffffff')
                || int4send(length(data)) || data) ORDER BY pos)
            INTO v_leaves FROM source;
        v_root := merkle_root(v_leaves);
        v_chain := sha256(v_chain || v_root || substr(v_recorded, 5));
        INSERT INTO batches (tenant_id, first_position, count, recorded_at, root, chain, touched)
            VALUES (p_tenant, o_position + 1, v_total, o_recorded_at, v_root, v_chain,
                    (SELECT coalesce(array_agg(DISTINCT t.key), '{}')
                     FROM unnest(p_touched, p_touched_by) AS t(key, command) WHERE ok[t.command]));
        UPDATE ledgers SET position = v_next, recorded_at = o_recorded_at, chain = v_chain WHERE tenant_id = p_tenant;
        IF cardinality(l_kind) > 0 THEN
            INSERT INTO claims (tenant_id, kind, keyed_hash, stream_id)
                SELECT p_tenant, t.kind, t.hash, t.stream
                FROM unnest(l_kind, l_hash, l_stream) WITH ORDINALITY AS t(kind, hash, stream, place)
                WHERE ok[(SELECT min(x) FROM generate_series(1, n) x WHERE c_claims[x] >= t.place)]
                ON CONFLICT DO NOTHING;
        END IF;
        IF p_rows IS NOT NULL THEN
            PERFORM inline_apply(p_tenant, v_generations, pos, p_rows);
        END IF;
        o_position := v_next;
    END IF;
    INSERT INTO commands (tenant_id, caller, key, fingerprint, first_position, count, outcome)
        SELECT p_tenant, t.caller, t.key, t.fingerprint, o_first[t.place], o_count[t.place], t.outcome
        FROM unnest(c_caller, c_key, c_fingerprint, c_outcome, c_keep)
            WITH ORDINALITY AS t(caller, key, fingerprint, outcome, keep, place)
        WHERE t.keep AND t.key IS NOT NULL AND ok[t.place];
    -- The transaction commits when this statement ends. A crash before leaves nothing of it; a crash after, all of it,
    -- and whoever did not get the answer finds it by the key.
END $$;

-- One round trip, one statement, the tenant's setting gone with it: how the service reads.
CREATE FUNCTION read_streams(p_tenant uuid, p_streams uuid[], p_after integer[])
RETURNS TABLE (stream_id uuid, version integer, "position" bigint, type text, recorded_at timestamptz,
               command_id uuid, data bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT e.stream_id, e.version, e.position, e.type, e.recorded_at, e.command_id, e.data
        FROM unnest(p_streams, p_after) AS u(stream_id, after)
        JOIN events e ON e.tenant_id = p_tenant AND e.stream_id = u.stream_id AND e.version > u.after
        ORDER BY e.stream_id, e.version;
END $$;

CREATE FUNCTION read_events(p_tenant uuid, p_from bigint, p_to bigint, p_limit integer)
RETURNS TABLE ("position" bigint, stream_id uuid, version integer, type text, recorded_at timestamptz, actor text,
               on_behalf_of text, command_id uuid, causation bigint, data bytea)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT e.position, e.stream_id, e.version, e.type, e.recorded_at, e.actor, e.on_behalf_of,
                        e.command_id, e.causation, e.data
        FROM events e WHERE e.tenant_id = p_tenant AND e.position BETWEEN p_from AND p_to
        ORDER BY e.position LIMIT p_limit;
END $$;

-- The head, and what the batches after a position touched: what a process asks before it answers from memory.
CREATE FUNCTION read_tail(p_tenant uuid, p_after bigint, OUT "position" bigint, OUT recorded_at timestamptz,
                          OUT clock text, OUT touched text[])
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    -- One statement, one snapshot: the head and the batches up to it.
    SELECT l.position, l.recorded_at, l.clock,
           CASE WHEN l.position > p_after THEN
               (SELECT coalesce(array_agg(DISTINCT t.key), '{}') FROM batches b, unnest(b.touched) AS t(key)
                WHERE b.tenant_id = p_tenant AND b.first_position > p_after)
           ELSE '{}'::text[] END
        INTO "position", recorded_at, clock, touched
        FROM ledgers l WHERE l.tenant_id = p_tenant;
END $$;

CREATE FUNCTION read_claim(p_tenant uuid, p_kind text, p_hash bytea) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN (SELECT c.stream_id FROM claims c
            WHERE c.tenant_id = p_tenant AND c.kind = p_kind AND c.keyed_hash = p_hash);
END $$;

CREATE FUNCTION read_staff_ids(p_tenant uuid) RETURNS SETOF uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT DISTINCT e.stream_id FROM events e
        WHERE e.tenant_id = p_tenant AND e.type = 'staff.appointed.1';
END $$;

-- What an operator's command line makes a tenant with; `p_folds`: the fold version of each read model of this release.
CREATE FUNCTION create_tenant(p_tenant uuid, p_name text, p_clock text, p_folds jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    INSERT INTO tenants (tenant_id, name) VALUES (p_tenant, p_name);
    INSERT INTO ledgers (tenant_id, clock) VALUES (p_tenant, p_clock);
    INSERT INTO generations (tenant_id, projection, generation, fold, live)
        SELECT p_tenant, key, 1, value::integer, true FROM jsonb_each_text(p_folds);
    INSERT INTO checkpoints (tenant_id, projection, generation)
        SELECT p_tenant, key, 1 FROM jsonb_each_text(p_folds);
    -- Called in a transaction of its own: a crash leaves no tenant or a whole one.
END $$;

-- Rights. The service can read, and write through `append` alone.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION current_tenant() TO PUBLIC;
GRANT SELECT ON tenants, ledgers, events, batches, commands, claims, generations, checkpoints
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT EXECUTE ON FUNCTION append TO counterseal_service;
GRANT EXECUTE ON FUNCTION read_streams, read_events, read_tail, read_claim, read_staff_ids
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE ON checkpoints TO counterseal_projector;
