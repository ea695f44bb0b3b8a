-- A key is given a new secret: the former one is good for a while longer. See docs/operating.md.

ALTER TABLE api_keys
    ADD COLUMN former_hash    bytea CHECK (length(former_hash) = 32),
    ADD COLUMN former_ends_at timestamptz,
    ADD CHECK ((former_hash IS NULL) = (former_ends_at IS NULL));

-- As find_key in 0004, which processes of an earlier release go on asking: they believe the new secret alone.
CREATE FUNCTION find_key_secrets(p_tenant uuid, p_key uuid)
RETURNS TABLE (hash bytea, party text, person uuid, scopes text[], ends_at timestamptz, withdrawn_at timestamptz,
               former_hash bytea, former_ends_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT k.hash, k.party, k.person, k.scopes, k.ends_at, k.withdrawn_at, k.former_hash, k.former_ends_at
        FROM api_keys k WHERE k.tenant_id = p_tenant AND k.key_id = p_key;
END $$;

GRANT EXECUTE ON FUNCTION find_key_secrets TO counterseal_service;
GRANT UPDATE (hash, former_hash, former_ends_at) ON api_keys TO counterseal_migrator;
-- Where the former secret ends at once, so does whatever it opened on the screens.
GRANT SELECT (tenant_id, key_id), DELETE ON sessions TO counterseal_migrator;
