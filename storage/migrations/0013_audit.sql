-- The record of all changes (docs/audit.md): a row for each object that a write has changed, stored with the change. It
-- refers to nothing, so that it outlives what it is about. storage/audit/ says what is recorded, and fills it.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY CHECK (id > 0),            -- the UNIX time in microseconds, or soon after it
    actor_id   INTEGER CHECK (actor_id >= 0),                 -- NULL: no user
    actor      TEXT NOT NULL,                                 -- the name at that time
    means      TEXT NOT NULL CHECK (means IN ('session', 'token', 'password', 'address', 'command', 'sync', 'service')),
    token_id   INTEGER CHECK (token_id > 0),
    token      TEXT NOT NULL,
    source     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    operation  TEXT NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('create', 'change', 'delete')),
    kind       TEXT NOT NULL,
    object_id  INTEGER NOT NULL CHECK (object_id >= 0),
    name       TEXT NOT NULL,
    former     TEXT,                                          -- the name that the object has no more from then on
    domain_id  INTEGER CHECK (domain_id > 0),
    changes    TEXT NOT NULL CHECK (length(changes) <= 20000)  -- JSON object: field -> [before, after]
) STRICT;
-- One for each filter; each has the ID, and with it the time, as its last column. Each row is in as few as possible: most are about users, and few take a
-- name away. By its name an object is found in its own table, or here once it has it no more.
CREATE INDEX audit_by_actor ON audit (actor_id);
CREATE INDEX audit_by_means ON audit (means, operation);
CREATE INDEX audit_by_object ON audit (kind, object_id);
CREATE INDEX audit_by_kind ON audit (kind) WHERE kind <> 'user';
CREATE INDEX audit_by_former ON audit (former, kind, object_id) WHERE former IS NOT NULL;
CREATE INDEX audit_by_domain ON audit (domain_id);
CREATE INDEX audit_by_request ON audit (request_id) WHERE request_id <> '';
