-- Reads of customers through a share, in the access log. See docs/kinds.md.

-- A read through a share names the grant and, field by field, how much was shown.
ALTER TABLE access_log DROP CONSTRAINT access_log_kind_check;
ALTER TABLE access_log ADD CONSTRAINT access_log_kind_check
    CHECK (kind IN ('refused', 'login_failed', 'export', 'unmasked_read', 'shared_read'));
ALTER TABLE access_log ADD COLUMN grant_id uuid;
ALTER TABLE access_log ADD COLUMN fields jsonb;

CREATE FUNCTION log_shared_read(p_tenant uuid, p_entry uuid, p_key uuid, p_party text, p_operation text,
                                p_stream uuid, p_grant uuid, p_purpose text, p_fields jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    INSERT INTO access_log (tenant_id, entry_id, kind, key_id, party, operation, stream_id, purpose, grant_id, fields)
        VALUES (p_tenant, p_entry, 'shared_read', p_key, p_party, p_operation, p_stream, p_purpose, p_grant, p_fields);
END $$;

REVOKE ALL ON FUNCTION log_shared_read FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_shared_read TO counterseal_service;
