-- A login that has ended stays ended, whatever comes back later. Here, so that no code path can forget it.

-- Part of the epoch of everybody in the domain: ending the logins of a million users is one row.
ALTER TABLE domains ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0 CHECK (token_epoch >= 0);
CREATE TRIGGER auth_domain_leaves AFTER UPDATE OF domain_status ON domains
    WHEN old.domain_status = 0 AND new.domain_status <> 0 BEGIN
    UPDATE domains SET token_epoch = token_epoch + 1 WHERE id = new.id;
END;

-- Without a role nobody logs in; with another one they do so anew.
CREATE TRIGGER auth_user_last_role AFTER DELETE ON user_roles
    WHEN NOT EXISTS (SELECT 1 FROM user_roles WHERE user_id = old.user_id) BEGIN
    UPDATE users SET token_epoch = token_epoch + 1 WHERE id = old.user_id;
END;

-- Whose password is the directory's has none here, and who leaves the directory needs a new one.
CREATE TRIGGER auth_user_link AFTER UPDATE OF ldap_id ON users WHEN old.ldap_id IS NOT new.ldap_id BEGIN
    UPDATE users
       SET password = NULL, token_epoch = token_epoch + 1, kept_epoch = NULL, kept_session = NULL
     WHERE id = new.id;
END;
UPDATE users SET password = NULL WHERE ldap_id IS NOT NULL AND id <> 0;
