-- Rebuilds: every read model once more from the log, beside the live one. See docs/operating.md, "Rebuilding read models".

-- Raised whenever rows of a live generation were written by other hands than `append` and the runner: who remembers them
-- has to forget.
ALTER TABLE generations ADD COLUMN revision integer NOT NULL DEFAULT 0;

-- The live generations of permissions, standings and points; behind them the fold versions that wrote them, and their
-- revisions. A process answers checks from rows of its own fold versions alone, and forgets when any number is another.
CREATE OR REPLACE FUNCTION live_generations(p_tenant uuid) RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT ARRAY[max(generation) FILTER (WHERE projection = 'permissions'),
                     max(generation) FILTER (WHERE projection = 'standings'),
                     max(generation) FILTER (WHERE projection = 'points'),
                     max(fold) FILTER (WHERE projection = 'permissions'),
                     max(fold) FILTER (WHERE projection = 'standings'),
                     max(fold) FILTER (WHERE projection = 'points'),
                     max(revision) FILTER (WHERE projection = 'permissions'),
                     max(revision) FILTER (WHERE projection = 'standings'),
                     max(revision) FILTER (WHERE projection = 'points')]
        FROM generations
        WHERE tenant_id = p_tenant AND live AND projection IN ('permissions', 'standings', 'points'));

-- A tenant's rebuild under way. Streams are folded up to `base`, range by range; what came after it follows in pages.
--   models  read model -> [generation, fold version]
CREATE TABLE rebuilds (
    tenant_id  uuid PRIMARY KEY REFERENCES tenants,
    rebuild_id uuid NOT NULL,
    models     jsonb NOT NULL,
    base       bigint NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The streams with ids in [low, high), NULL being no bound: folded and written in one transaction, which also says so.
CREATE TABLE rebuild_ranges (
    tenant_id  uuid NOT NULL,
    rebuild_id uuid NOT NULL,
    number     integer NOT NULL,
    low        uuid,
    high       uuid,
    events     bigint,
    PRIMARY KEY (tenant_id, rebuild_id, number)
);
COMMENT ON COLUMN rebuild_ranges.events IS 'how many there were, once the range is done';

-- Streams that the rebuild could not fold; they go into quarantine with the swap, no sooner.
CREATE TABLE rebuild_faults (
    tenant_id  uuid NOT NULL,
    rebuild_id uuid NOT NULL,
    stream_id  uuid NOT NULL,
    position   bigint NOT NULL,
    projection text NOT NULL,
    code       text NOT NULL,
    PRIMARY KEY (tenant_id, rebuild_id, stream_id)
);

-- The owner's alone: no other role has a right to them.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['rebuilds', 'rebuild_ranges', 'rebuild_faults'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
    END LOOP;
END $$;
