-- Every number has its bounds, and every table its types (STRICT): what no code should ever store, nothing can. And
-- what grows with each wipe or resync can be cut to its bound by index.
--
-- SQLite changes a table only by making it anew. Foreign keys are off meanwhile (storage/migrations/__init__.py), and
-- the triggers go with their tables, so rows come back as they were, and the search indexes stay right. The rows wait
-- in a temporary table: renaming a new one instead takes SQLite several times as long as all the rest while a database
-- is empty, which it is at every first start. "SELECT *" is meant: should a table have another column by now, the
-- migration fails instead of losing it.

-- Counted once more: a count that was ever wrong would be kept wrong.
UPDATE domains
   SET active_users   = (SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status = 0),
       inactive_users = (SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status IN (1, 2, 3)),
       virtual_users  = (SELECT count(*) FROM users u WHERE u.domain_id = domains.id AND u.status IN (4, 5));

-- The IDs of what is deleted never come back.
CREATE TEMP TABLE kept_sequences AS SELECT * FROM sqlite_sequence;

CREATE TEMP TABLE kept AS SELECT * FROM settings;
DROP TABLE settings;
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO settings SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM orgs;
DROP TABLE orgs;
CREATE TABLE orgs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
) STRICT;
INSERT INTO orgs SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM domains;
DROP TABLE domains;
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
    domain_status  INTEGER NOT NULL DEFAULT 0 CHECK (domain_status BETWEEN 0 AND 3),
    chat           INTEGER NOT NULL DEFAULT 0 CHECK (chat IN (0, 1)),
    sync_policy    TEXT,                          -- JSON object, only what differs from the default
    -- Kept by the triggers below, so that a page of users need not count the domain.
    active_users   INTEGER NOT NULL DEFAULT 0 CHECK (active_users >= 0),  -- status 0
    inactive_users INTEGER NOT NULL DEFAULT 0 CHECK (inactive_users >= 0),  -- status 1, 2, 3
    virtual_users  INTEGER NOT NULL DEFAULT 0 CHECK (virtual_users >= 0)  -- status 4 and 5
) STRICT;
INSERT INTO domains SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM users;
DROP TABLE users;
-- AUTOINCREMENT: the ID of a deleted user never comes back, so neither do the tokens that name it.
CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    domain_id       INTEGER REFERENCES domains (id) ON DELETE CASCADE,  -- NULL: the system administrator alone
    username        TEXT NOT NULL UNIQUE,
    password        TEXT,                                               -- a hash; NULL: no login with a password
    token_epoch     INTEGER NOT NULL DEFAULT 0 CHECK (token_epoch >= 0),  -- tokens of an earlier epoch count no more
    status          INTEGER NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),
    ldap_id         TEXT,                                               -- every byte but letters and digits as \xx
    lang            TEXT NOT NULL DEFAULT '',
    pop3_imap       INTEGER NOT NULL DEFAULT 0 CHECK (pop3_imap IN (0, 1)),
    smtp            INTEGER NOT NULL DEFAULT 0 CHECK (smtp IN (0, 1)),
    change_password INTEGER NOT NULL DEFAULT 0 CHECK (change_password IN (0, 1)),
    public_address  INTEGER NOT NULL DEFAULT 0 CHECK (public_address IN (0, 1)),
    priv_chat       INTEGER NOT NULL DEFAULT 0 CHECK (priv_chat IN (0, 1)),
    priv_video      INTEGER NOT NULL DEFAULT 0 CHECK (priv_video IN (0, 1)),
    priv_files      INTEGER NOT NULL DEFAULT 0 CHECK (priv_files IN (0, 1)),
    priv_archive    INTEGER NOT NULL DEFAULT 0 CHECK (priv_archive IN (0, 1)),
    priv_web        INTEGER NOT NULL DEFAULT 1 CHECK (priv_web IN (0, 1)),
    priv_eas        INTEGER NOT NULL DEFAULT 1 CHECK (priv_eas IN (0, 1)),
    priv_dav        INTEGER NOT NULL DEFAULT 1 CHECK (priv_dav IN (0, 1)),
    chat            INTEGER NOT NULL DEFAULT 0 CHECK (chat IN (0, 1)),
    chat_admin      INTEGER NOT NULL DEFAULT 0 CHECK (chat_admin IN (0, 1)),
    sync_policy     TEXT,
    CHECK (domain_id IS NOT NULL OR id = 0)
) STRICT;
INSERT INTO users SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM addresses;
DROP TABLE addresses;
-- Every name a user goes by. A username or an alias exists once in the whole store; an altname exists once and is
-- nobody else's username. That is said here, so that no code path can break it.
CREATE TABLE addresses (
    id       INTEGER PRIMARY KEY,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('username', 'alias', 'altname')),
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    magic    INTEGER NOT NULL DEFAULT 0 CHECK (magic IN (0, 99))  -- where an altname comes from: 0 by hand, 99 LDAP
) STRICT;
INSERT INTO addresses SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM properties;
DROP TABLE properties;
-- One row a property. `number` and `folded` are what it is sorted, filtered and searched by.
CREATE TABLE properties (
    id      INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    tag     INTEGER NOT NULL CHECK (tag BETWEEN 0 AND 0xffffffff),
    name    TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('integer', 'boolean', 'text', 'time', 'binary')),
    multi   INTEGER NOT NULL DEFAULT 0 CHECK (multi IN (0, 1)),
    value   ANY NOT NULL,   -- integer, text, base64; several values as a JSON array
    number  INTEGER CHECK (number IS NULL OR kind IN ('integer', 'boolean')),   -- any number is one
    folded  TEXT,
    UNIQUE (user_id, tag)
) STRICT;
INSERT INTO properties SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM forwards;
DROP TABLE forwards;
CREATE TABLE forwards (
    user_id      INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    forward_type INTEGER NOT NULL CHECK (forward_type IN (0, 1)),
    destination  TEXT NOT NULL
) STRICT;
INSERT INTO forwards SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM fetchmail;
DROP TABLE fetchmail;
CREATE TABLE fetchmail (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    mailbox         TEXT NOT NULL,
    active          INTEGER NOT NULL CHECK (active IN (0, 1)),
    src_server      TEXT NOT NULL,
    src_auth        TEXT NOT NULL,
    src_user        TEXT NOT NULL,
    src_password    TEXT NOT NULL,
    src_folder      TEXT NOT NULL,
    fetchall        INTEGER NOT NULL CHECK (fetchall IN (0, 1)),
    keep            INTEGER NOT NULL CHECK (keep IN (0, 1)),
    protocol        TEXT NOT NULL,
    use_ssl         INTEGER NOT NULL CHECK (use_ssl IN (0, 1)),
    ssl_cert_check  INTEGER NOT NULL CHECK (ssl_cert_check IN (0, 1)),
    ssl_cert_path   TEXT,
    ssl_fingerprint TEXT,
    extra_options   TEXT,
    date            TEXT NOT NULL
) STRICT;
INSERT INTO fetchmail SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM roles;
DROP TABLE roles;
CREATE TABLE roles (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
) STRICT;
INSERT INTO roles SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM role_permissions;
DROP TABLE role_permissions;
-- What a permission is about: a domain, an organisation, everything of its kind ("*"), or nothing in particular.
CREATE TABLE role_permissions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    role_id    INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    domain_id  INTEGER REFERENCES domains (id) ON DELETE CASCADE,
    org_id     INTEGER REFERENCES orgs (id) ON DELETE CASCADE,
    everything INTEGER NOT NULL DEFAULT 0 CHECK (everything IN (0, 1)),
    CHECK ((domain_id IS NOT NULL) + (org_id IS NOT NULL) + everything <= 1)
) STRICT;
INSERT INTO role_permissions SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM user_roles;
DROP TABLE user_roles;
CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
) STRICT, WITHOUT ROWID;
INSERT INTO user_roles SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM ldap_configs;
DROP TABLE ldap_configs;
-- The bind password has a column of its own: a document that is read for an answer cannot hold it.
CREATE TABLE ldap_configs (
    id        INTEGER PRIMARY KEY,
    org_id    INTEGER REFERENCES orgs (id) ON DELETE CASCADE,  -- NULL: for all that have none of their own
    document  TEXT NOT NULL,
    bind_pass TEXT
) STRICT;
INSERT INTO ldap_configs SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM tasks;
DROP TABLE tasks;
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
    pid     INTEGER NOT NULL CHECK (pid > 0)
) STRICT;
INSERT INTO tasks SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM task_items;
DROP TABLE task_items;
-- What became of each entry of the directory. No reference to a user: what was done is kept when they are gone.
CREATE TABLE task_items (
    id        INTEGER PRIMARY KEY,
    task_id   INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    object_id TEXT NOT NULL,
    domain_id INTEGER NOT NULL CHECK (domain_id >= 0),   -- 0: of no domain that is here
    user_id   INTEGER CHECK (user_id > 0),
    username  TEXT NOT NULL,
    action    TEXT NOT NULL,
    code      INTEGER NOT NULL CHECK (code BETWEEN 100 AND 599),   -- as of HTTP
    message   TEXT NOT NULL,
    changes   TEXT,                               -- JSON object: field -> [before, after]
    UNIQUE (task_id, object_id, domain_id)
) STRICT;
INSERT INTO task_items SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM create_defaults;
DROP TABLE create_defaults;
-- What POST of users and domains fills in: the row without a domain for all, the others what differs in their domain.
CREATE TABLE create_defaults (
    id        INTEGER PRIMARY KEY,
    domain_id INTEGER UNIQUE REFERENCES domains (id) ON DELETE CASCADE,
    document  TEXT NOT NULL
) STRICT;
INSERT INTO create_defaults SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM grants;
DROP TABLE grants;
-- The mailbox side.
CREATE TABLE grants (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('delegate', 'sendas')),
    position INTEGER NOT NULL CHECK (position >= 0),
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (user_id, kind, position),
    UNIQUE (user_id, kind, key)
) STRICT, WITHOUT ROWID;
INSERT INTO grants SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM store_access;
DROP TABLE store_access;
CREATE TABLE store_access (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    member_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, member_id)
) STRICT, WITHOUT ROWID;
INSERT INTO store_access SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM oof;
DROP TABLE oof;
-- Whether the end comes after the start depends on the time zone: app/services/oof.py knows.
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
    CHECK (state <> 2 OR (start_time IS NOT NULL AND end_time IS NOT NULL))
) STRICT;
INSERT INTO oof SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM devices;
DROP TABLE devices;
CREATE TABLE devices (
    user_id          INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id        TEXT NOT NULL,
    device_type      TEXT NOT NULL DEFAULT '',
    user_agent       TEXT NOT NULL DEFAULT '',
    device_user      TEXT NOT NULL DEFAULT '',
    first_sync_time INTEGER CHECK (first_sync_time >= 0),
    last_update_time INTEGER CHECK (last_update_time >= 0),
    last_connect_time INTEGER CHECK (last_connect_time >= 0),
    as_version       TEXT NOT NULL DEFAULT '""',  -- JSON: a number or a text, as reported
    folders_syncable INTEGER NOT NULL DEFAULT 0 CHECK (folders_syncable >= 0),
    folders_synced   INTEGER NOT NULL DEFAULT 0 CHECK (folders_synced >= 0),
    wipe_status      INTEGER NOT NULL DEFAULT 0 CHECK (wipe_status IN (0, 1, 2, 4, 8, 16, 32, 64)),
    PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
INSERT INTO devices SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM due_resyncs;
DROP TABLE due_resyncs;
-- Devices that have to start over at their next contact, in the order in which that was asked for; their rows in
-- `devices` may be gone by then.
CREATE TABLE due_resyncs (
    id        INTEGER PRIMARY KEY,
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    UNIQUE (user_id, device_id)
) STRICT;
INSERT INTO due_resyncs (user_id, device_id) SELECT user_id, device_id FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM wipe_history;
DROP TABLE wipe_history;
-- No reference to a device: what was done to it is kept when it is removed.
CREATE TABLE wipe_history (
    id        INTEGER PRIMARY KEY,
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    time      INTEGER NOT NULL CHECK (time >= 0),
    remote_ip TEXT NOT NULL,
    status    INTEGER NOT NULL CHECK (status IN (0, 1, 2, 4, 8, 16, 32, 64))
) STRICT;
INSERT INTO wipe_history SELECT * FROM temp.kept;
DROP TABLE temp.kept;

CREATE TEMP TABLE kept AS SELECT * FROM auth_generation;
DROP TABLE auth_generation;
-- Who may do what is remembered in the process under this number; whatever changes the answer counts it up, in the
-- same transaction, so that no code path can forget to.
CREATE TABLE auth_generation (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL CHECK (value > 0)
) STRICT;
INSERT INTO auth_generation SELECT * FROM temp.kept;
DROP TABLE temp.kept;

DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence SELECT * FROM temp.kept_sequences;
DROP TABLE temp.kept_sequences;

CREATE INDEX domains_by_org ON domains (org_id);
-- The row ID is the last column of every index: this one also gives a domain's users in the order of their IDs.
CREATE INDEX users_by_domain ON users (domain_id);
CREATE INDEX users_by_name ON users (domain_id, username);
CREATE UNIQUE INDEX users_by_object ON users (ldap_id, domain_id) WHERE ldap_id IS NOT NULL;
CREATE INDEX addresses_by_user ON addresses (user_id, kind);
-- The two below hold the rules; who asks for both kinds at once can use neither of them.
CREATE INDEX addresses_by_key ON addresses (key, kind, user_id);
CREATE UNIQUE INDEX addresses_by_mail ON addresses (key) WHERE kind <> 'altname';
CREATE UNIQUE INDEX addresses_by_altname ON addresses (key) WHERE kind = 'altname';
CREATE INDEX properties_by_number ON properties (tag, number, user_id) WHERE number IS NOT NULL;
CREATE INDEX fetchmail_by_user ON fetchmail (user_id);
CREATE INDEX role_permissions_by_role ON role_permissions (role_id);
CREATE INDEX role_permissions_by_domain ON role_permissions (domain_id);
CREATE INDEX role_permissions_by_org ON role_permissions (org_id);
CREATE INDEX user_roles_by_role ON user_roles (role_id);
CREATE UNIQUE INDEX ldap_configs_by_org ON ldap_configs (coalesce(org_id, 0));
CREATE INDEX tasks_by_user ON tasks (user_id);
CREATE INDEX grants_by_key ON grants (key);
CREATE INDEX store_access_by_member ON store_access (member_id);
-- These three give what a user or a device has in the order of time: what is beyond its bound is found at once.
CREATE INDEX wipe_history_by_device ON wipe_history (user_id, device_id);
CREATE INDEX wipe_history_by_user ON wipe_history (user_id);
CREATE INDEX due_resyncs_by_user ON due_resyncs (user_id);

-- A contact's username is a name for nobody to log in with: it stands in nobody's way.
CREATE TRIGGER addresses_altname BEFORE INSERT ON addresses WHEN new.kind = 'altname' AND EXISTS (
    SELECT 1 FROM addresses a JOIN users u ON u.id = a.user_id
     WHERE a.key = new.key AND a.kind = 'username' AND a.user_id <> new.user_id AND u.status <> 5
) BEGIN
    SELECT raise(ABORT, 'altname is the username of another user');
END;
CREATE TRIGGER addresses_username BEFORE INSERT ON addresses WHEN new.kind = 'username' AND EXISTS (
    SELECT 1 FROM addresses WHERE key = new.key AND kind = 'altname' AND user_id <> new.user_id
) AND (SELECT status FROM users WHERE id = new.user_id) <> 5 BEGIN
    SELECT raise(ABORT, 'username is the altname of another user');
END;
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
