-- What the doors keep beside the ledger: who may call, and who looked. See docs/api.md.

-- A key names its tenant, so it is looked up behind the tenant's own wall, before anything is known of the caller.
-- `hash` is the secret's HMAC under a pepper that lies with the key-encryption keys; the secret is nowhere.
CREATE TABLE api_keys (
    tenant_id    uuid NOT NULL REFERENCES tenants,
    key_id       uuid NOT NULL,
    hash         bytea NOT NULL CHECK (length(hash) = 32),
    party        text NOT NULL CHECK (party ~ '^(staff|customer|service):.'),
    person       uuid,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at      timestamptz,
    withdrawn_at timestamptz,
    last_used_at timestamptz,
    PRIMARY KEY (tenant_id, key_id),
    CHECK ((party LIKE 'customer:%') = (person IS NOT NULL))
);

-- Refused commands, failed logins, exports, every unmasked read. Codes and ids, never a text, a name or a token.
-- No foreign key to `tenants`: a login may name a tenant that does not exist.
CREATE TABLE access_log (
    tenant_id  uuid NOT NULL,
    entry_id   uuid NOT NULL,
    logged_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind       text NOT NULL CHECK (kind IN ('refused', 'login_failed', 'export', 'unmasked_read')),
    key_id     uuid,
    party      text,
    operation  text NOT NULL,
    stream_id  uuid,
    code       text,
    purpose    text,
    PRIMARY KEY (tenant_id, entry_id)
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['api_keys', 'access_log'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())'
                       ' WITH CHECK (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

-- One round trip each, the tenant's setting gone with the statement.
CREATE FUNCTION find_key(p_tenant uuid, p_key uuid)
RETURNS TABLE (hash bytea, party text, person uuid, scopes text[], ends_at timestamptz, withdrawn_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT k.hash, k.party, k.person, k.scopes, k.ends_at, k.withdrawn_at
        FROM api_keys k WHERE k.tenant_id = p_tenant AND k.key_id = p_key;
END $$;

CREATE FUNCTION touch_key(p_tenant uuid, p_key uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    UPDATE api_keys SET last_used_at = clock_timestamp() WHERE tenant_id = p_tenant AND key_id = p_key;
END $$;

CREATE FUNCTION log_access(p_tenant uuid, p_entry uuid, p_kind text, p_key uuid, p_party text, p_operation text,
                           p_stream uuid, p_code text, p_purpose text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    INSERT INTO access_log (tenant_id, entry_id, kind, key_id, party, operation, stream_id, code, purpose)
        VALUES (p_tenant, p_entry, p_kind, p_key, p_party, p_operation, p_stream, p_code, p_purpose);
END $$;

GRANT SELECT, UPDATE (last_used_at) ON api_keys TO counterseal_service;
GRANT SELECT, INSERT, UPDATE (withdrawn_at) ON api_keys TO counterseal_migrator;
GRANT INSERT ON access_log TO counterseal_service;
GRANT SELECT ON access_log TO counterseal_auditor;
GRANT EXECUTE ON FUNCTION find_key, touch_key, log_access TO counterseal_service;
