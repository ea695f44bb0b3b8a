-- What the screens keep: who is signed in, and links that sign in once. See docs/screens.md.

-- A session is bound to a key and never outlives it: whoever is signed in is looked up together with the key's row.
-- `hash` is the secret's HMAC under the same pepper as a key's; the secret lies in the cookie alone.
CREATE TABLE sessions (
    tenant_id  uuid NOT NULL,
    session_id uuid NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    key_id     uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, session_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys
);
CREATE INDEX sessions_of_key ON sessions (tenant_id, key_id, created_at);

-- Made by the operator for a key; good for minutes, and once.
CREATE TABLE sign_in_links (
    tenant_id  uuid NOT NULL,
    link_id    uuid NOT NULL,
    hash       bytea NOT NULL CHECK (length(hash) = 32),
    key_id     uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at    timestamptz NOT NULL,
    used_at    timestamptz,
    PRIMARY KEY (tenant_id, link_id),
    FOREIGN KEY (tenant_id, key_id) REFERENCES api_keys
);

DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['sessions', 'sign_in_links'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY tenant ON %I USING (tenant_id = current_tenant())'
                       ' WITH CHECK (tenant_id = current_tenant())', t);
    END LOOP;
END $$;

-- One round trip each, the tenant's setting gone with the statement.
CREATE FUNCTION find_session(p_tenant uuid, p_session uuid)
RETURNS TABLE (session_hash bytea, used_at timestamptz, session_ends_at timestamptz, key_id uuid,
               hash bytea, party text, person uuid, scopes text[], ends_at timestamptz, withdrawn_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT s.hash, s.used_at, s.ends_at, s.key_id,
            k.hash, k.party, k.person, k.scopes, k.ends_at, k.withdrawn_at
        FROM sessions s JOIN api_keys k ON k.tenant_id = s.tenant_id AND k.key_id = s.key_id
        WHERE s.tenant_id = p_tenant AND s.session_id = p_session;
END $$;

CREATE FUNCTION touch_session(p_tenant uuid, p_session uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    UPDATE sessions SET used_at = clock_timestamp() WHERE tenant_id = p_tenant AND session_id = p_session;
END $$;

-- A key has at most so many sessions: the oldest ones beyond them go, and what has ended goes with them.
CREATE FUNCTION open_session(p_tenant uuid, p_session uuid, p_hash bytea, p_key uuid, p_ends_at timestamptz,
                             p_most integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    DELETE FROM sessions WHERE tenant_id = p_tenant AND key_id = p_key
        AND (ends_at <= clock_timestamp() OR session_id IN (
            SELECT session_id FROM sessions WHERE tenant_id = p_tenant AND key_id = p_key
            ORDER BY created_at DESC OFFSET p_most - 1));
    INSERT INTO sessions (tenant_id, session_id, hash, key_id, ends_at)
        VALUES (p_tenant, p_session, p_hash, p_key, p_ends_at);
END $$;

CREATE FUNCTION close_session(p_tenant uuid, p_session uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    DELETE FROM sessions WHERE tenant_id = p_tenant AND session_id = p_session;
END $$;

-- Whose key a link is for; of two who use it at the same time one gets it. The hash is compared by the caller first.
CREATE FUNCTION find_link(p_tenant uuid, p_link uuid) RETURNS TABLE (hash bytea, ends_at timestamptz, used_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    RETURN QUERY SELECT l.hash, l.ends_at, l.used_at FROM sign_in_links l
        WHERE l.tenant_id = p_tenant AND l.link_id = p_link;
END $$;

CREATE FUNCTION use_link(p_tenant uuid, p_link uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $$
DECLARE found uuid;
BEGIN
    PERFORM set_config('counterseal.tenant', p_tenant::text, true);
    UPDATE sign_in_links SET used_at = clock_timestamp()
        WHERE tenant_id = p_tenant AND link_id = p_link AND used_at IS NULL AND ends_at > clock_timestamp()
        RETURNING key_id INTO found;
    RETURN found;
END $$;

GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON sessions TO counterseal_service;
GRANT SELECT, UPDATE (used_at) ON sign_in_links TO counterseal_service;
GRANT SELECT, INSERT, DELETE ON sign_in_links TO counterseal_migrator;
GRANT EXECUTE ON FUNCTION find_session, touch_session, open_session, close_session, find_link, use_link
    TO counterseal_service;

-- A grant's page shows what was passed on from it, whatever became of it since.
CREATE INDEX grants_passed_on ON grants (tenant_id, generation, parent, grant_id) WHERE parent IS NOT NULL;
