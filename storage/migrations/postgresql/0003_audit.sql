-- The record of all changes: see 0013_audit.sql of SQLite.
CREATE TABLE audit (
    id         bigint CONSTRAINT audit_id_pkey PRIMARY KEY CHECK (id > 0),  -- the UNIX time in microseconds
    actor_id   bigint CHECK (actor_id >= 0),                 -- NULL: no user
    actor      text COLLATE "C" NOT NULL,                    -- the name at that time
    means      text COLLATE "C" NOT NULL
               CHECK (means IN ('session', 'token', 'password', 'address', 'command', 'sync', 'service')),
    token_id   bigint CHECK (token_id > 0),
    token      text COLLATE "C" NOT NULL,
    source     text COLLATE "C" NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    operation  text COLLATE "C" NOT NULL,
    action     text COLLATE "C" NOT NULL CHECK (action IN ('create', 'change', 'delete')),
    kind       text COLLATE "C" NOT NULL,
    object_id  bigint NOT NULL CHECK (object_id >= 0),
    name       text COLLATE "C" NOT NULL,
    former     text COLLATE "C" CHECK (octet_length(former) <= 2048),  -- the name that the object has no more
    domain_id  bigint CHECK (domain_id > 0),
    changes    text COLLATE "C" NOT NULL CHECK (length(changes) <= 20000)  -- JSON object: field -> [before, after]
);
CREATE INDEX audit_by_actor ON audit (actor_id, id);
CREATE INDEX audit_by_means ON audit (means, operation, id);
CREATE INDEX audit_by_object ON audit (kind, object_id, id);
CREATE INDEX audit_by_kind ON audit (kind, id) WHERE kind <> 'user';
CREATE INDEX audit_by_former ON audit (former, kind, object_id, id) WHERE former IS NOT NULL;
CREATE INDEX audit_by_domain ON audit (domain_id, id);
CREATE INDEX audit_by_request ON audit (request_id, id) WHERE request_id <> '';

-- Notes a change in a table of the session that writes, which has it for that (storage/audit/capture.py says what is in
-- it); other sessions note nothing. The arguments: kind of the object, column with its ID, column that tells several
-- rows apart, table with whose row it goes, and columns with secrets. What else is left out, the program knows.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before  jsonb := '{}';
    after   jsonb := '{}';
    present jsonb;
    secret  text;
    changed text;
BEGIN
    IF to_regclass('pg_temp.audit_changes') IS NULL THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN before := to_jsonb(old); END IF;
    IF TG_OP <> 'DELETE' THEN after := to_jsonb(new); END IF;
    present := before || after;
    IF TG_OP = 'DELETE' THEN
        CASE TG_ARGV[3]
            WHEN 'users' THEN PERFORM 1 FROM users WHERE id = (before ->> 'user_id')::bigint;
            WHEN 'roles' THEN PERFORM 1 FROM roles WHERE id = (before ->> 'role_id')::bigint;
            WHEN 'api_tokens' THEN PERFORM 1 FROM api_tokens WHERE id = (before ->> 'token_id')::bigint;
            WHEN 'domains' THEN PERFORM 1 FROM domains WHERE id = (before ->> 'domain_id')::bigint;
            ELSE PERFORM 1;
        END CASE;
        IF NOT FOUND THEN RETURN NULL; END IF;
    END IF;
    -- A number is in a column of its own, and the value its digits.
    IF TG_TABLE_NAME = 'properties' AND present ->> 'number' IS NOT NULL THEN
        IF before <> '{}' THEN before := before || jsonb_build_object('value', before -> 'number'); END IF;
        IF after <> '{}' THEN after := after || jsonb_build_object('value', after -> 'number'); END IF;
    END IF;
    SELECT '{' || string_agg(to_jsonb(key)::text || ':' || CASE WHEN key = ANY (TG_ARGV[4:])
                OR TG_TABLE_NAME = 'settings' AND key = 'value' AND present ->> 'name' = 'token_key'
           THEN jsonb_build_array(CASE WHEN before ->> key <> '' THEN '(secret)' END,
                                  CASE WHEN after ->> key <> '' THEN '(secret)' END)
           ELSE jsonb_build_array(before -> key, after -> key) END::text, ',') || '}'
      INTO changed
      FROM jsonb_object_keys(present) AS keys (key)
     WHERE coalesce(before -> key, 'null') <> coalesce(after -> key, 'null');
    IF changed IS NOT NULL THEN
        INSERT INTO audit_changes (place, kind, object_id, entry, action, changes)
        VALUES (TG_TABLE_NAME, TG_ARGV[0], coalesce((present ->> TG_ARGV[1])::bigint, 0),
                coalesce(present ->> TG_ARGV[2], ''), left(TG_OP, 1), changed);
    END IF;
    RETURN NULL;
END $$;

-- Those with columns have others that change often and mean nothing here.
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON orgs FOR EACH ROW
    EXECUTE FUNCTION note_change('org', 'id');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE OF
    domainname, displayname, org_id, max_user, title, address, admin_name, tel, end_day, domain_status, chat,
    sync_policy, disabled_plugins
    ON domains FOR EACH ROW EXECUTE FUNCTION note_change('domain', 'id');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON users FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'id', '', 'domains', 'password');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON addresses FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', 'kind', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON properties FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', 'name', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON forwards FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', '', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON fetchmail FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', 'id', 'users', 'src_password');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON user_roles FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', '', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON grants FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', 'kind', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON store_access FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', '', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON oof FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', '', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE OF device_type, wipe_status
    ON devices FOR EACH ROW EXECUTE FUNCTION note_change('user', 'user_id', 'device_id', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON due_resyncs FOR EACH ROW
    EXECUTE FUNCTION note_change('user', 'user_id', '', 'users');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON roles FOR EACH ROW
    EXECUTE FUNCTION note_change('role', 'id');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON role_permissions FOR EACH ROW
    EXECUTE FUNCTION note_change('role', 'role_id', '', 'roles');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON ldap_configs FOR EACH ROW
    EXECUTE FUNCTION note_change('ldap', 'org_id', '', '', 'bind_pass');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON create_defaults FOR EACH ROW
    EXECUTE FUNCTION note_change('defaults', 'domain_id');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON settings FOR EACH ROW
    EXECUTE FUNCTION note_change('settings', '', 'name');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE ON sealing FOR EACH ROW
    EXECUTE FUNCTION note_change('settings');
CREATE TRIGGER note_change AFTER INSERT OR DELETE OR UPDATE OF command, state
    ON tasks FOR EACH ROW EXECUTE FUNCTION note_change('task', 'id');
