-- Read models that follow the log, one row a stream; written by the runner alone. See docs/architecture.md, "Project".
--
-- `status` is as recorded: whoever shows a row asks the clock (`due_at`: when it will do something nobody has recorded
-- yet). No personal data lies here in the clear: names of natural persons stay sealed in the log.

CREATE TABLE grants (
    tenant_id      uuid NOT NULL,
    generation     integer NOT NULL,
    grant_id       uuid NOT NULL,
    version        integer NOT NULL,
    position       bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    number         text NOT NULL,
    grantee        text NOT NULL,
    kind           text NOT NULL,
    status         text NOT NULL,
    terms_number   integer NOT NULL,
    actions        text[] NOT NULL,
    scope          jsonb NOT NULL,
    policy_id      text NOT NULL,
    policy_version integer NOT NULL,
    case_id        text NOT NULL,
    starts_at      timestamptz,
    ends_at        timestamptz,
    lapses_at      timestamptz,
    revoked_from   timestamptz,
    ended_at       timestamptz,
    due_at         timestamptz,
    holds          integer NOT NULL,
    revocation     text,
    irregular      boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, grant_id)
);
CREATE INDEX grants_grantee ON grants (tenant_id, generation, grantee, grant_id);
CREATE INDEX grants_status ON grants (tenant_id, generation, status, grant_id);
CREATE INDEX grants_kind ON grants (tenant_id, generation, kind, grant_id);
CREATE INDEX grants_number ON grants (tenant_id, generation, number, grant_id);
CREATE INDEX grants_due ON grants (tenant_id, generation, due_at, grant_id) WHERE due_at IS NOT NULL;

CREATE TABLE customers (
    tenant_id       uuid NOT NULL,
    generation      integer NOT NULL,
    customer_id     uuid NOT NULL,
    version         integer NOT NULL,
    position        bigint NOT NULL,
    recorded_at     timestamptz NOT NULL,
    number          text NOT NULL,
    form            text NOT NULL,
    title           text,
    title_key       text,
    uscc            text,
    status          text NOT NULL,
    confirmed_until timestamptz,
    due_at          timestamptz,
    grade           text,
    merged_into     text,
    members         integer NOT NULL,
    irregular       boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, customer_id)
);
CREATE INDEX customers_number ON customers (tenant_id, generation, number, customer_id);
CREATE INDEX customers_status ON customers (tenant_id, generation, status, number, customer_id);
CREATE INDEX customers_title ON customers (tenant_id, generation, title COLLATE "C", customer_id) WHERE title IS NOT NULL;
CREATE INDEX customers_title_key ON customers (tenant_id, generation, title_key COLLATE "C", customer_id)
    WHERE title_key IS NOT NULL;
CREATE INDEX customers_due ON customers (tenant_id, generation, due_at, customer_id) WHERE due_at IS NOT NULL;

-- `versions`: objects of number, status as recorded, from, retired_at; `names` and `status` are the newest version's.
CREATE TABLE policies (
    tenant_id   uuid NOT NULL,
    generation  integer NOT NULL,
    policy_id   uuid NOT NULL,
    version     integer NOT NULL,
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind        text NOT NULL,
    names       jsonb,
    newest      integer NOT NULL,
    status      text NOT NULL,
    versions    jsonb NOT NULL,
    irregular   boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, policy_id)
);
CREATE INDEX policies_kind ON policies (tenant_id, generation, kind, policy_id);
CREATE INDEX policies_status ON policies (tenant_id, generation, status, policy_id);

CREATE TABLE staff (
    tenant_id   uuid NOT NULL,
    generation  integer NOT NULL,
    staff_id    uuid NOT NULL,
    version     integer NOT NULL,
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    number      text NOT NULL,
    person      text NOT NULL,
    level       text NOT NULL,
    roles       text[] NOT NULL,
    customers   text[] NOT NULL,
    status      text NOT NULL,
    deputy      text,
    deputy_from timestamptz,
    deputy_until timestamptz,
    irregular   boolean NOT NULL,
    PRIMARY KEY (tenant_id, generation, staff_id)
);
CREATE INDEX staff_number ON staff (tenant_id, generation, number, staff_id);
CREATE INDEX staff_person ON staff (tenant_id, generation, person);

-- Who had which hand in which case, one row a person and event; `person` as written down, resolved when asked. `void`
-- is the position from which an approval counts no more: retracted, or made void by other terms.
CREATE TABLE hands (
    tenant_id  uuid NOT NULL,
    generation integer NOT NULL,
    grant_id   uuid NOT NULL,
    case_id    text NOT NULL,
    position   bigint NOT NULL,
    person     text NOT NULL,
    number     text NOT NULL,
    act        text NOT NULL CHECK (act IN ('requested', 'checked', 'approved')),
    stage      text,
    at         timestamptz NOT NULL,
    party      text NOT NULL,
    imported   boolean NOT NULL,
    void       bigint,
    PRIMARY KEY (tenant_id, generation, grant_id, case_id, position, person)
);

CREATE TABLE person_merges (
    tenant_id   uuid NOT NULL,
    generation  integer NOT NULL,
    person      text NOT NULL,
    into_person text NOT NULL,
    position    bigint NOT NULL,
    PRIMARY KEY (tenant_id, generation, person)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['grants', 'customers', 'policies', 'staff', 'hands', 'person_merges'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

GRANT SELECT ON grants, customers, policies, staff, hands, person_merges
    TO counterseal_service, counterseal_projector, counterseal_auditor;
GRANT INSERT, UPDATE, DELETE ON grants, customers, policies, staff, hands, person_merges TO counterseal_projector;
