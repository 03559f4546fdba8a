-- Times are text "YYYY-MM-DD HH:MM:SS" in the configured time zone, booleans 0 or 1, names of columns those of the API in
-- snake case. A column `key` holds the text of its neighbour in the form in which it is compared (see storage/text.py).

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE orgs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
);

CREATE TABLE domains (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id         INTEGER REFERENCES orgs (id) ON DELETE SET NULL,
    domainname     TEXT NOT NULL UNIQUE,          -- A-labels (xn--...), lower case
    displayname    TEXT NOT NULL,                 -- the same as Unicode
    max_user       INTEGER NOT NULL CHECK (max_user >= 0),
    title          TEXT NOT NULL DEFAULT '',
    address        TEXT NOT NULL DEFAULT '',
    admin_name     TEXT NOT NULL DEFAULT '',
    tel            TEXT NOT NULL DEFAULT '',
    end_day        TEXT NOT NULL DEFAULT '3333-03-03',
    domain_status  INTEGER NOT NULL DEFAULT 0,
    chat           INTEGER NOT NULL DEFAULT 0,
    sync_policy    TEXT,                          -- JSON object, only what differs from the default
    -- Kept by the triggers below, so that a page of users need not count the domain.
    active_users   INTEGER NOT NULL DEFAULT 0,    -- status 0
    inactive_users INTEGER NOT NULL DEFAULT 0,    -- status 1, 2, 3
    virtual_users  INTEGER NOT NULL DEFAULT 0     -- status 4 and 5
);
CREATE INDEX domains_by_org ON domains (org_id);

-- AUTOINCREMENT: the ID of a deleted user never comes back, so neither do the tokens that name it.
CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_id       INTEGER REFERENCES domains (id) ON DELETE CASCADE,  -- NULL: the system administrator alone
    username        TEXT NOT NULL UNIQUE,
    password        TEXT,                                               -- a hash; NULL: no login with a password
    token_epoch     INTEGER NOT NULL DEFAULT 0,                         -- tokens of an earlier epoch count no more
    status          INTEGER NOT NULL DEFAULT 0,
    ldap_id         TEXT,                                               -- every byte but letters and digits as \xx
    lang            TEXT NOT NULL DEFAULT '',
    pop3_imap       INTEGER NOT NULL DEFAULT 0,
    smtp            INTEGER NOT NULL DEFAULT 0,
    change_password INTEGER NOT NULL DEFAULT 0,
    public_address  INTEGER NOT NULL DEFAULT 0,
    priv_chat       INTEGER NOT NULL DEFAULT 0,
    priv_video      INTEGER NOT NULL DEFAULT 0,
    priv_files      INTEGER NOT NULL DEFAULT 0,
    priv_archive    INTEGER NOT NULL DEFAULT 0,
    priv_web        INTEGER NOT NULL DEFAULT 1,
    priv_eas        INTEGER NOT NULL DEFAULT 1,
    priv_dav        INTEGER NOT NULL DEFAULT 1,
    chat            INTEGER NOT NULL DEFAULT 0,
    chat_admin      INTEGER NOT NULL DEFAULT 0,
    sync_policy     TEXT,
    CHECK (domain_id IS NOT NULL OR id = 0)
);
-- The row ID is the last column of every index: this one also gives a domain's users in the order of their IDs.
CREATE INDEX users_by_domain ON users (domain_id);
CREATE INDEX users_by_name ON users (domain_id, username);
CREATE UNIQUE INDEX users_by_object ON users (ldap_id, domain_id) WHERE ldap_id IS NOT NULL;

-- Every name a user goes by. A username or an alias exists once in the whole store; an altname exists once and is
-- nobody else's username. That is said here, so that no code path can break it.
CREATE TABLE addresses (
    id       INTEGER PRIMARY KEY,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('username', 'alias', 'altname')),
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    magic    INTEGER NOT NULL DEFAULT 0  -- where an altname comes from: 0 by hand, 99 LDAP
);
CREATE INDEX addresses_by_user ON addresses (user_id, kind);
-- The two below hold the rules; who asks for both kinds at once can use neither of them.
CREATE INDEX addresses_by_key ON addresses (key, kind, user_id);
CREATE UNIQUE INDEX addresses_by_mail ON addresses (key) WHERE kind <> 'altname';
CREATE UNIQUE INDEX addresses_by_altname ON addresses (key) WHERE kind = 'altname';

CREATE TRIGGER addresses_altname BEFORE INSERT ON addresses WHEN new.kind = 'altname' AND EXISTS (
    SELECT 1 FROM addresses WHERE key = new.key AND kind = 'username' AND user_id <> new.user_id
) BEGIN
    SELECT raise(ABORT, 'altname is the username of another user');
END;
CREATE TRIGGER addresses_username BEFORE INSERT ON addresses WHEN new.kind = 'username' AND EXISTS (
    SELECT 1 FROM addresses WHERE key = new.key AND kind = 'altname' AND user_id <> new.user_id
) BEGIN
    SELECT raise(ABORT, 'username is the altname of another user');
END;

-- One row a property. `number` and `folded` are what it is sorted, filtered and searched by.
CREATE TABLE properties (
    id      INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tag     INTEGER NOT NULL,
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('integer', 'boolean', 'text', 'time', 'binary')),
    multi   INTEGER NOT NULL DEFAULT 0,
    value   NOT NULL,   -- integer, text, base64; several values as a JSON array
    number  INTEGER,
    folded  TEXT,
    UNIQUE (user_id, tag)
);
CREATE INDEX properties_by_number ON properties (tag, number, user_id) WHERE number IS NOT NULL;

CREATE TABLE forwards (
    user_id      INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    forward_type INTEGER NOT NULL CHECK (forward_type IN (0, 1)),
    destination  TEXT NOT NULL
);

CREATE TABLE fetchmail (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mailbox         TEXT NOT NULL,
    active          INTEGER NOT NULL,
    src_server      TEXT NOT NULL,
    src_auth        TEXT NOT NULL,
    src_user        TEXT NOT NULL,
    src_password    TEXT NOT NULL,
    src_folder      TEXT NOT NULL,
    fetchall        INTEGER NOT NULL,
    keep            INTEGER NOT NULL,
    protocol        TEXT NOT NULL,
    use_ssl         INTEGER NOT NULL,
    ssl_cert_check  INTEGER NOT NULL,
    ssl_cert_path   TEXT,
    ssl_fingerprint TEXT,
    extra_options   TEXT,
    date            TEXT NOT NULL
);
CREATE INDEX fetchmail_by_user ON fetchmail (user_id);

CREATE TABLE roles (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
);
-- What a permission is about: a domain, an organisation, everything of its kind ("*"), or nothing in particular.
CREATE TABLE role_permissions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    role_id    INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    domain_id  INTEGER REFERENCES domains (id) ON DELETE CASCADE,
    org_id     INTEGER REFERENCES orgs (id) ON DELETE CASCADE,
    everything INTEGER NOT NULL DEFAULT 0,
    CHECK ((domain_id IS NOT NULL) + (org_id IS NOT NULL) + everything <= 1)
);
CREATE INDEX role_permissions_by_role ON role_permissions (role_id);
CREATE INDEX role_permissions_by_domain ON role_permissions (domain_id);
CREATE INDEX role_permissions_by_org ON role_permissions (org_id);
CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
) WITHOUT ROWID;
CREATE INDEX user_roles_by_role ON user_roles (role_id);

-- The bind password has a column of its own: a document that is read for an answer cannot hold it.
CREATE TABLE ldap_configs (
    id        INTEGER PRIMARY KEY,
    org_id    INTEGER REFERENCES orgs (id) ON DELETE CASCADE,  -- NULL: for all that have none of their own
    document  TEXT NOT NULL,
    bind_pass TEXT
);
CREATE UNIQUE INDEX ldap_configs_by_org ON ldap_configs (coalesce(org_id, 0));

-- Work that may take longer than a request. `pid` is the process that does it: without that process it is done no more.
CREATE TABLE tasks (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    command TEXT NOT NULL,
    state   INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 5),
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    params  TEXT NOT NULL,                        -- JSON object
    user_id INTEGER REFERENCES users (id) ON DELETE SET NULL,
    pid     INTEGER NOT NULL
);
CREATE INDEX tasks_by_user ON tasks (user_id);
-- What became of each entry of the directory. No reference to a user: what was done is kept when they are gone.
CREATE TABLE task_items (
    id        INTEGER PRIMARY KEY,
    task_id   INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    object_id TEXT NOT NULL,
    domain_id INTEGER NOT NULL,                   -- 0: of no domain that is here
    user_id   INTEGER,
    username  TEXT NOT NULL,
    action    TEXT NOT NULL,
    code      INTEGER NOT NULL,
    message   TEXT NOT NULL,
    changes   TEXT,                               -- JSON object: field -> [before, after]
    UNIQUE (task_id, object_id, domain_id)
);

-- What POST of users and domains fills in: the row without a domain for all, the others what differs in their domain.
CREATE TABLE create_defaults (
    id        INTEGER PRIMARY KEY,
    domain_id INTEGER UNIQUE REFERENCES domains (id) ON DELETE CASCADE,
    document  TEXT NOT NULL
);

-- The mailbox side.
CREATE TABLE grants (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('delegate', 'sendas')),
    position INTEGER NOT NULL,
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (user_id, kind, position),
    UNIQUE (user_id, kind, key)
) WITHOUT ROWID;
CREATE INDEX grants_by_key ON grants (key);

CREATE TABLE store_access (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    member_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, member_id)
) WITHOUT ROWID;
CREATE INDEX store_access_by_member ON store_access (member_id);

CREATE TABLE oof (
    user_id           INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    state             INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
    external_audience INTEGER NOT NULL DEFAULT 0 CHECK (external_audience IN (0, 1, 2)),
    start_time        TEXT,
    end_time          TEXT,
    internal_subject  TEXT,
    internal_reply    TEXT,
    external_subject  TEXT,
    external_reply    TEXT,
    CHECK (state <> 2 OR (start_time IS NOT NULL AND end_time IS NOT NULL)),
    CHECK (end_time > start_time)
);

CREATE TABLE devices (
    user_id          INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id        TEXT NOT NULL,
    device_type      TEXT NOT NULL DEFAULT '',
    user_agent       TEXT NOT NULL DEFAULT '',
    device_user      TEXT NOT NULL DEFAULT '',
    first_sync_time  INTEGER,
    last_update_time INTEGER,
    last_connect_time INTEGER,
    as_version       TEXT NOT NULL DEFAULT '""',  -- JSON: a number or a text, as reported
    folders_syncable INTEGER NOT NULL DEFAULT 0,
    folders_synced   INTEGER NOT NULL DEFAULT 0,
    wipe_status      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;
-- Devices that have to start over at their next contact; their rows in `devices` may be gone by then.
CREATE TABLE due_resyncs (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;
-- No reference to a device: what was done to it is kept when it is removed.
CREATE TABLE wipe_history (
    id        INTEGER PRIMARY KEY,
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    time      INTEGER NOT NULL,
    remote_ip TEXT NOT NULL,
    status    INTEGER NOT NULL
);
CREATE INDEX wipe_history_by_device ON wipe_history (user_id, device_id);

-- Substring search: trigram indexes over the folded forms, kept in step by triggers.
CREATE VIRTUAL TABLE address_search USING fts5 (key, content = 'addresses', content_rowid = 'id', tokenize = 'trigram');
CREATE TRIGGER address_search_insert AFTER INSERT ON addresses BEGIN
    INSERT INTO address_search (rowid, key) VALUES (new.id, new.key);
END;
CREATE TRIGGER address_search_delete AFTER DELETE ON addresses BEGIN
    INSERT INTO address_search (address_search, rowid, key) VALUES ('delete', old.id, old.key);
END;
CREATE TRIGGER address_search_update AFTER UPDATE OF key ON addresses BEGIN
    INSERT INTO address_search (address_search, rowid, key) VALUES ('delete', old.id, old.key);
    INSERT INTO address_search (rowid, key) VALUES (new.id, new.key);
END;

CREATE VIRTUAL TABLE property_search
    USING fts5 (folded, content = 'properties', content_rowid = 'id', tokenize = 'trigram');
CREATE TRIGGER property_search_insert AFTER INSERT ON properties WHEN new.kind = 'text' BEGIN
    INSERT INTO property_search (rowid, folded) VALUES (new.id, new.folded);
END;
CREATE TRIGGER property_search_delete AFTER DELETE ON properties WHEN old.kind = 'text' BEGIN
    INSERT INTO property_search (property_search, rowid, folded) VALUES ('delete', old.id, old.folded);
END;
CREATE TRIGGER property_search_update AFTER UPDATE OF folded ON properties WHEN new.kind = 'text' BEGIN
    INSERT INTO property_search (property_search, rowid, folded) VALUES ('delete', old.id, old.folded);
    INSERT INTO property_search (rowid, folded) VALUES (new.id, new.folded);
END;

-- The counters of a domain.
CREATE TRIGGER users_count_insert AFTER INSERT ON users BEGIN
    UPDATE domains
       SET active_users   = active_users + (new.status = 0),
           inactive_users = inactive_users + (new.status IN (1, 2, 3)),
           virtual_users  = virtual_users + (new.status IN (4, 5))
     WHERE id = new.domain_id;
END;
CREATE TRIGGER users_count_delete AFTER DELETE ON users BEGIN
    UPDATE domains
       SET active_users   = active_users - (old.status = 0),
           inactive_users = inactive_users - (old.status IN (1, 2, 3)),
           virtual_users  = virtual_users - (old.status IN (4, 5))
     WHERE id = old.domain_id;
END;
CREATE TRIGGER users_count_update AFTER UPDATE OF status ON users WHEN old.status <> new.status BEGIN
    UPDATE domains
       SET active_users   = active_users + (new.status = 0) - (old.status = 0),
           inactive_users = inactive_users + (new.status IN (1, 2, 3)) - (old.status IN (1, 2, 3)),
           virtual_users  = virtual_users + (new.status IN (4, 5)) - (old.status IN (4, 5))
     WHERE id = new.domain_id;
END;

-- Who may do what is remembered in the process under this number; whatever changes the answer counts it up, in the
-- same transaction, so that no code path can forget to.
CREATE TABLE auth_generation (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
);
INSERT INTO auth_generation (id, value) VALUES (1, 1);

CREATE TRIGGER auth_user_update AFTER UPDATE OF username, token_epoch, status ON users BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_user_delete AFTER DELETE ON users BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_user_role_insert AFTER INSERT ON user_roles BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_user_role_delete AFTER DELETE ON user_roles BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_permission_insert AFTER INSERT ON role_permissions BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_permission_update AFTER UPDATE ON role_permissions BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_permission_delete AFTER DELETE ON role_permissions BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_domain_insert AFTER INSERT ON domains BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_domain_update AFTER UPDATE OF org_id, domain_status ON domains BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_domain_delete AFTER DELETE ON domains BEGIN
    UPDATE auth_generation SET value = value + 1;
END;

-- A user who is suspended or deleted loses the tokens given out before for good, also after coming back.
CREATE TRIGGER auth_user_leaves AFTER UPDATE OF status ON users WHEN old.status = 0 AND new.status <> 0 BEGIN
    UPDATE users SET token_epoch = token_epoch + 1 WHERE id = new.id;
END;
