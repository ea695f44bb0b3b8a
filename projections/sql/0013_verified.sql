-- Quarantine that is healed, and tables that are compared with the log all the time. See docs/operating.md.

-- A stream is in quarantine because of an event that cannot be applied (`code` event.…: rows that follow the log end before
-- `position`), or because a row that a check rests on is not what the log says (table.differs: everything is followed on,
-- and what rests on the stream is denied, by what was known from `position` on).
ALTER TABLE quarantined ADD COLUMN found_at timestamptz NOT NULL DEFAULT clock_timestamp();

-- Assignments of customers, by the staff member they follow from. The predicate is said by the verifier alone, so that no
-- other plan takes it (see 0002).
CREATE INDEX points_assigned ON points (tenant_id, generation, path) WHERE dimension LIKE 'customer/%';

-- One row a tenant; its lock is what verifiers and whoever heals take turns by. `changes` is raised with every heal.
--   swept_from   how far the history had followed the log when the sweep under way began, NULL between two
--   swept_upto   the last stream that it has compared; `keys` rows of `history_keys` up to `swept_from` it has found
--   swept_at     when a sweep was last brought to its end
--   differences, quarantined   how many there were when a verifier last looked: counts for who may see no tenant's rows
CREATE TABLE sweeps (
    tenant_id   uuid PRIMARY KEY REFERENCES tenants,
    changes     integer NOT NULL DEFAULT 0,
    swept_from  bigint,
    swept_upto  uuid,
    keys        bigint NOT NULL DEFAULT 0,
    swept_at    timestamptz,
    differences integer NOT NULL DEFAULT 0,
    quarantined integer NOT NULL DEFAULT 0
);

-- Up to which position every stream's rows were compared with a fold from its first event.
CREATE TABLE verified (
    tenant_id  uuid NOT NULL,
    projection text NOT NULL,
    generation integer NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (tenant_id, projection, generation)
);

-- Rows that are not what the log says. `stream_id`: what they follow from, NULL where it is no stream's id; `resting`: a
-- stream that is in quarantine with it. `key` names the row, `columns` are those that differ, none where the row is there
-- that should not be, or is not there. Compared as of `position`. No values: they would be what nobody wrote. `stray`: no
-- index finds the row by its stream.
CREATE TABLE differences (
    tenant_id  uuid NOT NULL,
    stream_id  uuid,
    resting    uuid,
    projection text NOT NULL,
    relation   text NOT NULL,
    key        jsonb NOT NULL,
    columns    text[] NOT NULL,
    position   bigint NOT NULL,
    stray      boolean NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, relation, key)
);
CREATE INDEX differences_stream ON differences (tenant_id, stream_id);
ALTER TABLE differences ENABLE ROW LEVEL SECURITY;
ALTER TABLE differences FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON differences USING (tenant_id = current_tenant());

GRANT SELECT ON sweeps, verified, differences TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE, DELETE ON sweeps, verified, differences TO counterseal_projector;
