-- What waits for whom, and what compliance asks about: rows a stream, written by the runner alone. See docs/compliance.md.
--
-- `item` is unique in its stream. What the clock does is asked when a row is read: a task is over at `lapses_at`, and may
-- begin to wait at an instant to come.

-- An id that is written as a text; imported history may hold others.
CREATE FUNCTION as_id(p_text text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_text ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN p_text::uuid END;

CREATE TABLE tasks (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    stream_id  uuid NOT NULL,
    item       text NOT NULL,
    kind       text NOT NULL,
    about      text NOT NULL CHECK (about IN ('grant', 'customer', 'policy')),
    party      text,
    since      timestamptz NOT NULL,
    lapses_at  timestamptz,
    PRIMARY KEY (tenant_id, generation, stream_id, item)
);
CREATE INDEX tasks_since ON tasks (tenant_id, generation, since, stream_id, item);
CREATE INDEX tasks_kind ON tasks (tenant_id, generation, kind, since, stream_id, item);
CREATE INDEX tasks_party ON tasks (tenant_id, generation, party, since, stream_id, item);

-- One row a request, renewal, amendment or revocation. `over_at`: when it was closed, or will be by the clock alone;
-- infinity while nothing bounds it.
CREATE TABLE cases (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    stream_id  uuid NOT NULL,
    item       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('request', 'renewal', 'amendment', 'revocation')),
    number     text NOT NULL,
    grantee    text NOT NULL,
    policy_id      text NOT NULL,
    policy_version integer NOT NULL,
    opened_at  timestamptz NOT NULL,
    closed_at  timestamptz,
    over_at    timestamptz NOT NULL,
    checks     integer NOT NULL,
    approvals  integer NOT NULL,
    imported   boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, stream_id, item)
);
CREATE INDEX cases_over ON cases (tenant_id, generation, over_at, stream_id, item);
CREATE INDEX cases_unchecked ON cases (tenant_id, generation, stream_id, item) WHERE approvals > 0 AND checks = 0;

-- One row a grant and number of terms that were ever in force. `spans` are the instants at which these terms hold, as far
-- as the grant's own stream can tell, `ends_at` the last one's end, infinity for none; `last` marks the terms with which the grant ends.
CREATE TABLE effects (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    stream_id  uuid NOT NULL,
    item       text NOT NULL,
    number     text NOT NULL,
    grantee    text NOT NULL,
    kind       text NOT NULL,
    policy_id      text NOT NULL,
    policy_version integer NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    spans      tstzmultirange NOT NULL,
    last       boolean NOT NULL,
    evidence_ends_at timestamptz,
    PRIMARY KEY (tenant_id, generation, stream_id, item)
);
CREATE INDEX effects_end ON effects (tenant_id, generation, ends_at, stream_id, item);
CREATE INDEX effects_policy ON effects
    (tenant_id, generation, policy_id, policy_version, ends_at, stream_id, item);

-- One row a version of a policy that was ever published. `superseded_at`: from when a newer one is in its place.
CREATE TABLE policy_versions (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    stream_id  uuid NOT NULL,
    item       text NOT NULL,
    number     integer NOT NULL,
    kind       text NOT NULL,
    begins_at  timestamptz,
    retired_at timestamptz,
    superseded_at timestamptz,
    demands_check boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, stream_id, item)
);

-- Who approved how much: the approvals that stand, by person and instant.
CREATE INDEX hands_approver ON hands (tenant_id, generation, person, at, grant_id) WHERE act = 'approved' AND void IS NULL;

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['tasks', 'cases', 'effects', 'policy_versions'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
        -- Tenants made before: the runner fills their rows from the first event on.
        INSERT INTO generations (tenant_id, projection, generation, fold, live)
            SELECT tenant_id, t, 1, 1, true FROM tenants;
        INSERT INTO checkpoints (tenant_id, projection, generation) SELECT tenant_id, t, 1 FROM tenants;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION as_id FROM PUBLIC;
GRANT EXECUTE ON FUNCTION as_id TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT SELECT ON tasks, cases, effects, policy_versions TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE, DELETE ON tasks, cases, effects, policy_versions TO counterseal_projector;
