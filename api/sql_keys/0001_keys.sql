-- The key database: one wrapped key a data subject, and the epochs of the keys that wrap them.
-- Only the role counterseal_keys works here. No name, no text, no clear key ever lies in it.

-- Exempt from row-level security, no content: rotation goes through it tenant by tenant.
CREATE TABLE tenants (
    tenant_id uuid PRIMARY KEY
);

-- Exempt from row-level security, no content: one row a living key-encryption key.
-- `proof` is a constant wrapped under that key; it opens only with the right key file.
CREATE TABLE epochs (
    epoch integer PRIMARY KEY CHECK (epoch BETWEEN 197001 AND 999912),
    proof bytea NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- `epoch` and `wrapped` are null once the subject was forgotten. The row stays: nobody who was
-- forgotten gets a second key by a command that was under way, and readers can tell "forgotten" from
-- "forged". A subject forgotten before they ever had a key has no `key_id` either.
--
-- The foreign key on `epochs` is what rotation rests on: an epoch's row cannot be deleted while any
-- key of any tenant is wrapped under it, whoever inserts meanwhile (PostgreSQL checks foreign keys
-- past row-level security).
CREATE TABLE subject_keys (
    tenant_id uuid NOT NULL REFERENCES tenants,
    purpose text NOT NULL CHECK (purpose IN ('seal', 'hash')),
    subject_id uuid NOT NULL,
    key_id uuid,
    epoch integer REFERENCES epochs,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    PRIMARY KEY (tenant_id, purpose, subject_id),
    CHECK ((epoch IS NULL) = (wrapped IS NULL)),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK (wrapped IS NULL OR key_id IS NOT NULL)
);

-- Rotation's pages, and the check of the foreign key above.
CREATE INDEX subject_keys_by_epoch ON subject_keys (epoch, tenant_id);

ALTER TABLE subject_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE subject_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON subject_keys
    USING (tenant_id = nullif(current_setting('counterseal.tenant', true), '')::uuid)
    WITH CHECK (tenant_id = nullif(current_setting('counterseal.tenant', true), '')::uuid);

REVOKE ALL ON tenants, epochs, subject_keys FROM PUBLIC;
GRANT SELECT, INSERT ON tenants TO counterseal_keys;
GRANT SELECT, INSERT, DELETE ON epochs TO counterseal_keys;
-- No DELETE: forgetting is an UPDATE that leaves the row. Who the key belongs to never changes.
GRANT SELECT, INSERT, UPDATE (epoch, wrapped, destroyed_at) ON subject_keys TO counterseal_keys;
