-- Names are compared without regard to the width of letters and to characters that are not shown: the same names in
-- other keys. An altname that is somebody else's name by that was made to look like it, and goes.
DELETE FROM addresses
 WHERE kind = 'altname' AND key <> fold(key)
   AND EXISTS (SELECT 1 FROM addresses other JOIN users u ON u.id = other.user_id
                WHERE other.key = fold(addresses.key) AND other.id <> addresses.id
                  AND (other.kind = 'altname' OR other.kind = 'username' AND u.status <> 5));
-- Of two addresses, or two names of other things, that are one by the new keys, the second keeps its old key.
UPDATE OR IGNORE addresses SET key = fold(key) WHERE key <> fold(key);
UPDATE OR IGNORE grants SET key = fold(key) WHERE key <> fold(key);
UPDATE OR IGNORE orgs SET key = fold(key) WHERE key <> fold(key);
UPDATE OR IGNORE roles SET key = fold(key) WHERE key <> fold(key);
UPDATE properties SET folded = fold(folded) WHERE folded <> fold(coalesce(folded, ''));

-- Whose address it was when the grant was made; NULL: nobody's here. Only what was granted to a user follows them.
ALTER TABLE grants ADD COLUMN member_id INTEGER REFERENCES users (id) ON DELETE CASCADE;
UPDATE grants SET member_id = (SELECT user_id FROM addresses WHERE key = grants.key AND kind <> 'altname');
CREATE INDEX grants_by_member ON grants (member_id) WHERE member_id IS NOT NULL;

-- A grant may be there before its user is. Within a domain it becomes theirs when they come; the grants of another
-- domain's users stay with the address, or whoever takes it for a moment would take them along.
CREATE TRIGGER grants_member BEFORE INSERT ON addresses
WHEN new.kind <> 'altname' AND EXISTS (SELECT 1 FROM grants WHERE key = new.key AND member_id IS NULL) BEGIN
    UPDATE grants SET member_id = new.user_id
     WHERE key = new.key AND member_id IS NULL
       AND (SELECT domain_id FROM users WHERE id = grants.user_id) = (SELECT domain_id FROM users WHERE id = new.user_id);
END;
