-- Tokens for programs, and logins: see docs/tokens.md. Times are UNIX times.

-- A token may do what its owner may do now, of that only what its permissions cover if it is scoped. `hash` is the
-- SHA-256 of the token, which has 256 random bits; it is stored nowhere else. `networks` is a JSON array.
CREATE TABLE api_tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    hash        TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
    scoped      INTEGER NOT NULL CHECK (scoped IN (0, 1)),
    read_only   INTEGER NOT NULL CHECK (read_only IN (0, 1)),
    networks    TEXT NOT NULL CHECK (length(networks) <= 8192),
    created     INTEGER NOT NULL CHECK (created >= 0),
    expires     INTEGER CHECK (expires > 0),
    last_used   INTEGER CHECK (last_used >= 0),
    last_source TEXT CHECK (length(last_source) <= 64)
) STRICT;
CREATE INDEX api_tokens_by_user ON api_tokens (user_id);

-- What a scoped token is limited to, in the words of role_permissions. With a domain or an organisation goes what a
-- token may do there; the token stays scoped.
CREATE TABLE api_token_permissions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_id   INTEGER NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    permission TEXT NOT NULL CHECK (length(permission) BETWEEN 1 AND 64),
    domain_id  INTEGER REFERENCES domains (id) ON DELETE CASCADE,
    org_id     INTEGER REFERENCES orgs (id) ON DELETE CASCADE,
    everything INTEGER NOT NULL DEFAULT 0 CHECK (everything IN (0, 1)),
    CHECK ((domain_id IS NOT NULL) + (org_id IS NOT NULL) + everything <= 1)
) STRICT;
CREATE INDEX api_token_permissions_by_token ON api_token_permissions (token_id);
CREATE INDEX api_token_permissions_by_domain ON api_token_permissions (domain_id);
CREATE INDEX api_token_permissions_by_org ON api_token_permissions (org_id);

-- A login. The tokens that it has given out are valid as long as its row is here and their epoch counts. `epoch` is the
-- sum of the user's and the domain's when the login began.
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY CHECK (length(session_id) = 32),
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    epoch      INTEGER NOT NULL CHECK (epoch >= 0),
    created    INTEGER NOT NULL CHECK (created >= 0),
    last_used  INTEGER NOT NULL CHECK (last_used >= 0),
    expires    INTEGER NOT NULL CHECK (expires > 0),
    source     TEXT NOT NULL CHECK (length(source) <= 64),
    user_agent TEXT NOT NULL CHECK (length(user_agent) <= 200)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, last_used);
CREATE INDEX sessions_by_end ON sessions (expires);

-- Whatever is revoked is revoked at once, in every process.
CREATE TRIGGER auth_token_update
  AFTER UPDATE OF user_id, hash, scoped, read_only, networks, expires ON api_tokens BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_token_delete AFTER DELETE ON api_tokens BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_token_permission_delete AFTER DELETE ON api_token_permissions BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
CREATE TRIGGER auth_session_delete AFTER DELETE ON sessions BEGIN
    UPDATE auth_generation SET value = value + 1;
END;

-- The token by which a task was started.
ALTER TABLE tasks ADD COLUMN token_id INTEGER REFERENCES api_tokens (id) ON DELETE SET NULL;
