-- A contact is called contact-<ID>, without a domain: it is no address and no login, so it takes nobody's name and nobody
-- takes its name. Grants to what it was called before lead nowhere.
DELETE FROM grants
 WHERE key IN (SELECT a.key
                 FROM users u
                 JOIN addresses a ON a.user_id = u.id AND a.kind = 'username'
                WHERE u.status = 5);
UPDATE addresses
   SET address = 'contact-' || user_id, key = 'contact-' || user_id
 WHERE kind = 'username' AND user_id IN (SELECT id FROM users WHERE status = 5);
UPDATE users SET username = 'contact-' || id WHERE status = 5;

DROP TRIGGER addresses_altname;
CREATE TRIGGER addresses_altname BEFORE INSERT ON addresses WHEN new.kind = 'altname' AND EXISTS (
    SELECT 1 FROM addresses a JOIN users u ON u.id = a.user_id
     WHERE a.key = new.key AND a.kind = 'username' AND a.user_id <> new.user_id AND u.status <> 5
) BEGIN
    SELECT raise(ABORT, 'altname is the username of another user');
END;
DROP TRIGGER addresses_username;
CREATE TRIGGER addresses_username BEFORE INSERT ON addresses WHEN new.kind = 'username' AND EXISTS (
    SELECT 1 FROM addresses WHERE key = new.key AND kind = 'altname' AND user_id <> new.user_id
) AND (SELECT status FROM users WHERE id = new.user_id) <> 5 BEGIN
    SELECT raise(ABORT, 'username is the altname of another user');
END;
