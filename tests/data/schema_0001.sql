-- A database of schema 1 with rows in every table, as the first version made it (sqlite3 .dump).
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO settings VALUES('token_key','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef');
CREATE TABLE orgs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
);
INSERT INTO orgs VALUES(1,'Älteste Org','älteste org','the first');
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
INSERT INTO domains VALUES(1,1,'example.org','example.org',100,'One','','','','3333-03-03',0,1,'{"devpwenabled":1}',2,2,2);
INSERT INTO domains VALUES(2,1,'xn--bcher-kva.example','bücher.example',100,'','','','','3333-03-03',0,0,NULL,1,0,0);
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
INSERT INTO users VALUES(0,NULL,'admin','$argon2id$v=19$m=19456,t=2,p=1$EVR2kqzsSo2im/oqGtIDDw$oztlgtlc5YPmUdOz7j/oZIqFMWORMQJtc9Q+oi97Nfg',0,0,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(1,1,'jane@example.org','$argon2id$v=19$m=19456,t=2,p=1$IGN/ossWMb0UIGj8lllGJg$4c4ieKZzlIHYtO5b5i1OWkg7a8fZyqtvaDyYxIB5BC4',0,0,NULL,'de_DE',1,0,0,0,0,0,0,0,1,1,1,1,0,'{"devpwenabled":0}');
INSERT INTO users VALUES(2,1,'john@example.org','$argon2id$v=19$m=19456,t=2,p=1$w08IOU/JVDmfioY9BefcoQ$vjVwD1hitZhTgruH8FFT9E/+HcyMFMAD3ccLYiWDbQA',0,0,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(3,1,'hall@example.org',NULL,0,4,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(4,1,'contact-4@example.org',NULL,0,5,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(5,1,'suspended@example.org','$argon2id$v=19$m=19456,t=2,p=1$+WYaF3/psCo47bCOYdgtKQ$XeelptTNfWKh+HoQ8F9RKZ6tdF3LSlTne+CdrZS4LBk',0,1,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(6,1,'deleted@example.org','$argon2id$v=19$m=19456,t=2,p=1$T8szrSjDe6PXFyHS7fnFYg$NWSWhLU2S+OI+sTNBWykh486PDUfYE2gAyqzV0WbfXA',0,3,NULL,'',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
INSERT INTO users VALUES(7,2,'ute@xn--bcher-kva.example',NULL,0,0,'ab\2dcd','',0,0,0,0,0,0,0,0,1,1,1,0,0,NULL);
CREATE TABLE addresses (
    id       INTEGER PRIMARY KEY,
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('username', 'alias', 'altname')),
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    magic    INTEGER NOT NULL DEFAULT 0  -- where an altname comes from: 0 by hand, 99 LDAP
);
INSERT INTO addresses VALUES(1,0,'username','admin','admin',0);
INSERT INTO addresses VALUES(2,1,'username','jane@example.org','jane@example.org',0);
INSERT INTO addresses VALUES(3,1,'alias','j.doe@example.org','j.doe@example.org',0);
INSERT INTO addresses VALUES(4,1,'alias','straße@example.org','strasse@example.org',0);
INSERT INTO addresses VALUES(5,1,'altname','jd','jd',0);
INSERT INTO addresses VALUES(6,2,'username','john@example.org','john@example.org',0);
INSERT INTO addresses VALUES(7,3,'username','hall@example.org','hall@example.org',0);
INSERT INTO addresses VALUES(8,4,'username','contact-4@example.org','contact-4@example.org',0);
INSERT INTO addresses VALUES(9,5,'username','suspended@example.org','suspended@example.org',0);
INSERT INTO addresses VALUES(10,6,'username','deleted@example.org','deleted@example.org',0);
INSERT INTO addresses VALUES(11,7,'username','ute@xn--bcher-kva.example','ute@xn--bcher-kva.example',0);
INSERT INTO addresses VALUES(12,7,'altname','utelogin','utelogin',99);
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
INSERT INTO properties VALUES(1,1,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(2,1,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(3,1,805371935,'displayname','text',0,'Jane Döe',NULL,'jane döe');
INSERT INTO properties VALUES(4,1,1073020931,'storagequotalimit','integer',0,1048576,1048576,NULL);
INSERT INTO properties VALUES(5,1,805568543,'comment','text',0,replace('says\nhello 👩‍🚀','\n',char(10)),NULL,replace('says\nhello 👩‍🚀','\n',char(10)));
INSERT INTO properties VALUES(6,1,980422914,'userx509certificate','binary',1,'["AAEC/w==", "/w=="]',NULL,replace('aaec/w==\n/w==','\n',char(10)));
INSERT INTO properties VALUES(7,1,1718484995,'prohibitsendquota','integer',0,5,5,NULL);
INSERT INTO properties VALUES(8,2,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(9,2,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(10,2,805371935,'displayname','text',0,'John',NULL,'john');
INSERT INTO properties VALUES(11,3,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(12,3,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(13,4,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(14,4,956628995,'displaytypeex','integer',0,6,6,NULL);
INSERT INTO properties VALUES(15,4,972947487,'smtpaddress','text',0,'guest@example.net',NULL,'guest@example.net');
INSERT INTO properties VALUES(16,4,805371935,'displayname','text',0,'Guest',NULL,'guest');
INSERT INTO properties VALUES(17,5,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(18,5,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(19,6,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(20,6,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(21,7,805765184,'creationtime','time',0,'2026-11-24 16:42:18',NULL,'2026-11-24 16:42:18');
INSERT INTO properties VALUES(22,7,956628995,'displaytypeex','integer',0,0,0,NULL);
INSERT INTO properties VALUES(23,2,973733919,'initials','text',0,'0123',NULL,'0123');
CREATE TABLE forwards (
    user_id      INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    forward_type INTEGER NOT NULL CHECK (forward_type IN (0, 1)),
    destination  TEXT NOT NULL
);
INSERT INTO forwards VALUES(1,1,'elsewhere@example.net');
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
INSERT INTO fetchmail VALUES(1,1,'jane@example.org',1,'mail.example.net:993','password','jane','theirs','',0,1,'IMAP',1,0,NULL,NULL,NULL,'2026-11-24 16:42:18');
CREATE TABLE roles (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    key         TEXT NOT NULL UNIQUE,
    description TEXT
);
INSERT INTO roles VALUES(1,'Helpers','helpers','help');
CREATE TABLE role_permissions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    role_id    INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission TEXT NOT NULL,
    domain_id  INTEGER REFERENCES domains (id) ON DELETE CASCADE,
    org_id     INTEGER REFERENCES orgs (id) ON DELETE CASCADE,
    everything INTEGER NOT NULL DEFAULT 0,
    CHECK ((domain_id IS NOT NULL) + (org_id IS NOT NULL) + everything <= 1)
);
INSERT INTO role_permissions VALUES(1,1,'DomainAdmin',1,NULL,0);
INSERT INTO role_permissions VALUES(2,1,'OrgAdmin',NULL,1,0);
INSERT INTO role_permissions VALUES(3,1,'DomainPurge',NULL,NULL,1);
INSERT INTO role_permissions VALUES(4,1,'ResetPasswd',NULL,NULL,0);
CREATE TABLE user_roles (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role_id INTEGER NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
) WITHOUT ROWID;
INSERT INTO user_roles VALUES(2,1);
CREATE TABLE ldap_configs (
    id        INTEGER PRIMARY KEY,
    org_id    INTEGER REFERENCES orgs (id) ON DELETE CASCADE,  -- NULL: for all that have none of their own
    document  TEXT NOT NULL,
    bind_pass TEXT
);
INSERT INTO ldap_configs VALUES(1,NULL,'{"connection": {"server": "ldap://ldap.example.org", "bindUser": "cn=reader"}, "baseDn": "dc=example,dc=org", "objectID": "entryUUID", "users": {"username": "mail"}}','reader''s');
INSERT INTO ldap_configs VALUES(2,1,'{"disabled": true}',NULL);
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
INSERT INTO tasks VALUES(1,'ldapSync',3,'2026-07-01 08:00:00','2026-07-01 08:01:00','done','{"dryRun": false}',NULL,4711);
INSERT INTO tasks VALUES(2,'ldapSync',0,'2026-07-02 08:00:00','2026-07-02 08:00:00','','{"dryRun": true}',1,4711);
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
INSERT INTO task_items VALUES(1,1,'ab\2dcd',2,7,'ute','update',200,'','{"lang": ["", "de"]}');
INSERT INTO task_items VALUES(2,1,'ff',0,NULL,'nobody','skip',400,'no address',NULL);
CREATE TABLE create_defaults (
    id        INTEGER PRIMARY KEY,
    domain_id INTEGER UNIQUE REFERENCES domains (id) ON DELETE CASCADE,
    document  TEXT NOT NULL
);
INSERT INTO create_defaults VALUES(1,NULL,'{"user":{"lang":"en","chat":true},"domain":{"maxUser":50}}');
INSERT INTO create_defaults VALUES(2,1,'{"user":{"lang":"en","chat":true},"domain":{"maxUser":50}}');
CREATE TABLE grants (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind     TEXT NOT NULL CHECK (kind IN ('delegate', 'sendas')),
    position INTEGER NOT NULL,
    address  TEXT NOT NULL,
    key      TEXT NOT NULL,
    PRIMARY KEY (user_id, kind, position),
    UNIQUE (user_id, kind, key)
) WITHOUT ROWID;
INSERT INTO grants VALUES(1,'delegate',0,'john@example.org','john@example.org');
INSERT INTO grants VALUES(1,'delegate',1,'outside@example.net','outside@example.net');
INSERT INTO grants VALUES(1,'sendas',0,'john@example.org','john@example.org');
CREATE TABLE store_access (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    member_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, member_id)
) WITHOUT ROWID;
INSERT INTO store_access VALUES(1,2);
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
INSERT INTO oof VALUES(1,2,1,'2026-07-01 08:00:00','2026-07-03 17:30:00','','away',NULL,NULL);
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
INSERT INTO devices VALUES(1,'lost','','','',NULL,NULL,NULL,'""',0,0,8);
INSERT INTO devices VALUES(1,'phone','iPhone','x','',0,9223372036854775807,1795538538,'16.1',9223372036854775807,9223372036854775807,1);
CREATE TABLE due_resyncs (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    PRIMARY KEY (user_id, device_id)
) WITHOUT ROWID;
INSERT INTO due_resyncs VALUES(1,'old');
INSERT INTO due_resyncs VALUES(1,'phone');
CREATE TABLE wipe_history (
    id        INTEGER PRIMARY KEY,
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_id TEXT NOT NULL,
    time      INTEGER NOT NULL,
    remote_ip TEXT NOT NULL,
    status    INTEGER NOT NULL
);
INSERT INTO wipe_history VALUES(1,1,'lost',1795538538,'127.0.0.1',2);
INSERT INTO wipe_history VALUES(2,1,'lost',0,'127.0.0.1',8);
INSERT INTO wipe_history VALUES(3,1,'phone',1795538538,'127.0.0.1',16);
INSERT INTO wipe_history VALUES(4,1,'phone',1795538538,'127.0.0.1',1);
PRAGMA writable_schema=ON;
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','address_search','address_search',0,'CREATE VIRTUAL TABLE address_search USING fts5 (key, content = ''addresses'', content_rowid = ''id'', tokenize = ''trigram'')');
CREATE TABLE IF NOT EXISTS 'address_search_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO address_search_data VALUES(1,X'0c8121');
INSERT INTO address_search_data VALUES(10,X'00000000010d0d000d0101010201010301010401010501010601010701010801010901010a01010b01010c01010d0101');
INSERT INTO address_search_data VALUES(137438953473,X'0000001c043061646d0102020103646d6901020301036d696e010204040808');
INSERT INTO address_search_data VALUES(274877906945,X'0000007104302e6f7202020e01034065780202060103616d7002020902026e650202030103652e6f02020d020240650202050202786102020701036a616e02020201036c652e02020c01036d706c02020a01036e654002020401036f726702020f0103706c6502020b010378616d0202080408080807080707080808080808');
INSERT INTO address_search_data VALUES(412316860417,X'0000007804302e646f03020302026f7203020f01034065780302070103616d7003020a0103646f650302040103652e6f03020e020240650302060202786103020801036a2e6403020201036c652e03020d01036d706c03020b01036f6540030205020272670302100103706c6503020c010378616d030209040807080808080707080808080708');
INSERT INTO address_search_data VALUES(549755813889,X'0000008704302e6f7204021101034065780402090103616d7004020c020273730402050103652e6f040210020240650402080202786104020a01036c652e04020f01036d706c04020d01036f72670402120103706c6504020e0103726173040204010373654004020702027365040206020274720402020103747261040203010378616d04020b0408080807080707080808080808070708');
INSERT INTO address_search_data VALUES(687194767361,X'0000007204302e6f7206020e01034065780602060103616d700602090103652e6f06020d020278610602070103686e4006020401036a6f6806020201036c652e06020c01036d706c06020a01036e406506020501036f686e0602030202726706020f0103706c6506020b010378616d0602080408080808070808080808080708');
INSERT INTO address_search_data VALUES(824633720833,X'0000007004302e6f7207020e01034065780702060103616c6c07020302026d700702090103652e6f07020d02027861070207010368616c07020201036c40650702050202652e07020c02026c4007020401036d706c07020a01036f726707020f0103706c6507020b010378616d0702080408080807080708080707080808');
INSERT INTO address_search_data VALUES(962072674305,X'0000009704302d344008020901032e6f72080213010334406508020a010340657808020b010361637408020602026d7008020e0103636f6e0802020202742d0802070103652e6f0802120202786108020c01036c652e08021101036d706c08020f01036e746108020401036f6e74080203020272670802140103706c650802100103742d3408020802026163080205010378616d08020d04080808080807080708070808080807080807');
INSERT INTO address_search_data VALUES(1099511627777,X'0000009604302e6f72090213010340657809020b0103616d7009020e010364406509020a020265640902080103652e6f0902120202644009020902026e640902060202786109020c01036c652e09021101036d706c09020f01036e646509020701036f7267090214010370656e09020502026c650902100103737065090204020275730902020103757370090203010378616d09020d04080808080708070707080808080807080708');
INSERT INTO address_search_data VALUES(1236950581249,X'0000008504302e6f720a021101034065780a02090103616d700a020c01036440650a02080202656c0a02020103652e6f0a0210020264400a020702026c650a0203020274650a0205020278610a020a01036c652e0a020f0301740a020401036d706c0a020d01036f72670a02120103706c650a020e01037465640a0206010378616d0a020b0408080808070807070707080608080808');
INSERT INTO address_search_data VALUES(1374389534721,X'000000b604302d2d620b0208020262630b020902026b760b020f01032e65780b0213010340786e0b02050103612e650b021202026d700b021601036263680b020a01036368650b020b01036540780b02040202722d0b020d020278610b021401036865720b020c01036b76610b021001036d706c0b021701036e2d2d0b02070103706c650b02180103722d6b0b020e01037465400b020301037574650b0202010376612e0b0211010378616d0b021502026e2d0b02060408070708080807080808070708080808080808080808');
INSERT INTO address_search_data VALUES(1511828488193,X'000000be04302d2d620c0209020262630c020a02026b760c021001032e65780c0214010340786e0c02060103612e650c021302026d700c0217020273740c020301036263680c020b01036368650c020c010365722d0c020e020278610c021501036865720c020d01036b76610c021101036c61730c020201036d706c0c021801036e2d2d0c02080103706c650c02190103722d6b0c020f01037374400c020401037440780c0205010376612e0c0212010378616d0c021602026e2d0c0207040807070808080707080808070808080808080808080808');
INSERT INTO address_search_data VALUES(1649267441665,X'000000a604302d2d620c01020262630c0102026b760c0101032e65780c01010340786e0c010103612e650c0102026d700c01020273740c0101036263680c0101036368650c01010365722d0c01020278610c0101036865720c0101036b76610c0101036c61730c0101036d706c0c0101036e2d2d0c010103706c650c010103722d6b0c0101037374400c0101037440780c01010376612e0c01010378616d0c0102026e2d0c01040706060707070606070707060707070707070707070707');
INSERT INTO address_search_data VALUES(1786706395137,X'000000340430656c6f0c0204010367696e0c020701036c6f670c020501036f67690c0206010374656c0c020301037574650c0202040808080808');
CREATE TABLE IF NOT EXISTS 'address_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO address_search_idx VALUES(1,X'',2);
INSERT INTO address_search_idx VALUES(2,X'',2);
INSERT INTO address_search_idx VALUES(3,X'',2);
INSERT INTO address_search_idx VALUES(4,X'',2);
INSERT INTO address_search_idx VALUES(5,X'',2);
INSERT INTO address_search_idx VALUES(6,X'',2);
INSERT INTO address_search_idx VALUES(7,X'',2);
INSERT INTO address_search_idx VALUES(8,X'',2);
INSERT INTO address_search_idx VALUES(9,X'',2);
INSERT INTO address_search_idx VALUES(10,X'',2);
INSERT INTO address_search_idx VALUES(11,X'',2);
INSERT INTO address_search_idx VALUES(12,X'',2);
INSERT INTO address_search_idx VALUES(13,X'',2);
CREATE TABLE IF NOT EXISTS 'address_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO address_search_docsize VALUES(1,X'03');
INSERT INTO address_search_docsize VALUES(2,X'0e');
INSERT INTO address_search_docsize VALUES(3,X'0f');
INSERT INTO address_search_docsize VALUES(4,X'11');
INSERT INTO address_search_docsize VALUES(5,X'00');
INSERT INTO address_search_docsize VALUES(6,X'0e');
INSERT INTO address_search_docsize VALUES(7,X'0e');
INSERT INTO address_search_docsize VALUES(8,X'13');
INSERT INTO address_search_docsize VALUES(9,X'13');
INSERT INTO address_search_docsize VALUES(10,X'11');
INSERT INTO address_search_docsize VALUES(11,X'17');
INSERT INTO address_search_docsize VALUES(12,X'06');
CREATE TABLE IF NOT EXISTS 'address_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO address_search_config VALUES('version',4);
INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)VALUES('table','property_search','property_search',0,'CREATE VIRTUAL TABLE property_search
    USING fts5 (folded, content = ''properties'', content_rowid = ''id'', tokenize = ''trigram'')');
CREATE TABLE IF NOT EXISTS 'property_search_data'(id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO property_search_data VALUES(1,X'0628');
INSERT INTO property_search_data VALUES(10,X'000000000104040004010101020101030101040101');
INSERT INTO property_search_data VALUES(137438953473,X'000000a104300a686505020601042064c3b60302060207f09f91a9e2808d05020c0103616e6503020302027973050203010464c3b665030207010365206403020502026c6c050208010368656c05020701036a616e03020201036c6c6f05020902026f2005020a01036e652003020401066f20f09f91a905020b0103730a6805020502026179050202010379730a050204010bf09f91a9e2808df09f9a8005020d0408090c080709080708080807080b080708');
INSERT INTO property_search_data VALUES(274877906945,X'0000001404306a6f680a020201036f686e0a02030408');
INSERT INTO property_search_data VALUES(412316860417,X'0000008304302e6e650f020f01034065780f02070103616d700f020a0103652e6e0f020e020273740f0204010204020278610f020801036775650f020201020201036c652e0f020d01036d706c0f020b01036e65740f02100103706c650f020c01037374400f020501037440650f020601037565730f0203010203010378616d0f020904080808080a070b0808080808080b');
INSERT INTO property_search_data VALUES(549755813889,X'00000014043030313217020201033132331702030408');
CREATE TABLE IF NOT EXISTS 'property_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
INSERT INTO property_search_idx VALUES(1,X'',2);
INSERT INTO property_search_idx VALUES(2,X'',2);
INSERT INTO property_search_idx VALUES(3,X'',2);
INSERT INTO property_search_idx VALUES(4,X'',2);
CREATE TABLE IF NOT EXISTS 'property_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
INSERT INTO property_search_docsize VALUES(3,X'06');
INSERT INTO property_search_docsize VALUES(5,X'0c');
INSERT INTO property_search_docsize VALUES(10,X'02');
INSERT INTO property_search_docsize VALUES(15,X'0f');
INSERT INTO property_search_docsize VALUES(16,X'03');
INSERT INTO property_search_docsize VALUES(23,X'02');
CREATE TABLE IF NOT EXISTS 'property_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO property_search_config VALUES('version',4);
CREATE TABLE auth_generation (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
);
INSERT INTO auth_generation VALUES(1,11);
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 VALUES('grants','grants_by_key','3 2');
INSERT INTO sqlite_stat1 VALUES('grants','sqlite_autoindex_grants_2','3 3 2 1');
INSERT INTO sqlite_stat1 VALUES('grants','grants','3 3 2 1');
INSERT INTO sqlite_stat1 VALUES('tasks','tasks_by_user','2 1');
INSERT INTO sqlite_stat1 VALUES('devices','devices','2 2 1');
INSERT INTO sqlite_stat1 VALUES('user_roles','user_roles_by_role','1 1');
INSERT INTO sqlite_stat1 VALUES('user_roles','user_roles','1 1 1');
INSERT INTO sqlite_stat1 VALUES('role_permissions','role_permissions_by_org','4 2');
INSERT INTO sqlite_stat1 VALUES('role_permissions','role_permissions_by_domain','4 2');
INSERT INTO sqlite_stat1 VALUES('role_permissions','role_permissions_by_role','4 4');
INSERT INTO sqlite_stat1 VALUES('fetchmail','fetchmail_by_user','1 1');
INSERT INTO sqlite_stat1 VALUES('domains','domains_by_org','2 2');
INSERT INTO sqlite_stat1 VALUES('domains','sqlite_autoindex_domains_1','2 1');
INSERT INTO sqlite_stat1 VALUES('wipe_history','wipe_history_by_device','4 4 2');
INSERT INTO sqlite_stat1 VALUES('store_access','store_access_by_member','1 1');
INSERT INTO sqlite_stat1 VALUES('store_access','store_access','1 1 1');
INSERT INTO sqlite_stat1 VALUES('users','users_by_object','1 1 1');
INSERT INTO sqlite_stat1 VALUES('users','users_by_name','8 3 1');
INSERT INTO sqlite_stat1 VALUES('users','users_by_domain','8 3');
INSERT INTO sqlite_stat1 VALUES('users','sqlite_autoindex_users_1','8 1');
INSERT INTO sqlite_stat1 VALUES('addresses','addresses_by_altname','2 1');
INSERT INTO sqlite_stat1 VALUES('addresses','addresses_by_mail','10 1');
INSERT INTO sqlite_stat1 VALUES('addresses','addresses_by_key','12 1 1 1');
INSERT INTO sqlite_stat1 VALUES('addresses','addresses_by_user','12 2 1');
INSERT INTO sqlite_stat1 VALUES('properties','properties_by_number','9 3 3 1');
INSERT INTO sqlite_stat1 VALUES('properties','sqlite_autoindex_properties_1','22 4 1');
INSERT INTO sqlite_stat1 VALUES('due_resyncs','due_resyncs','2 2 1');
INSERT INTO sqlite_stat1 VALUES('task_items','sqlite_autoindex_task_items_1','2 2 1 1');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('users',8);
INSERT INTO sqlite_sequence VALUES('orgs',2);
INSERT INTO sqlite_sequence VALUES('domains',3);
INSERT INTO sqlite_sequence VALUES('fetchmail',1);
INSERT INTO sqlite_sequence VALUES('roles',1);
INSERT INTO sqlite_sequence VALUES('role_permissions',4);
INSERT INTO sqlite_sequence VALUES('tasks',2);
CREATE INDEX domains_by_org ON domains (org_id);
CREATE INDEX users_by_domain ON users (domain_id);
CREATE INDEX users_by_name ON users (domain_id, username);
CREATE UNIQUE INDEX users_by_object ON users (ldap_id, domain_id) WHERE ldap_id IS NOT NULL;
CREATE INDEX addresses_by_user ON addresses (user_id, kind);
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
CREATE INDEX wipe_history_by_device ON wipe_history (user_id, device_id);
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
CREATE TRIGGER auth_user_leaves AFTER UPDATE OF status ON users WHEN old.status = 0 AND new.status <> 0 BEGIN
    UPDATE users SET token_epoch = token_epoch + 1 WHERE id = new.id;
END;
PRAGMA writable_schema=OFF;
COMMIT;
PRAGMA user_version = 1;
