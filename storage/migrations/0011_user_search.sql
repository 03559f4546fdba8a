-- What a list asks about a domain is found along an index that begins with the domain, however many users others have.

-- A user stays in their domain: three copies of it below depend on that.
CREATE TRIGGER users_stay BEFORE UPDATE OF domain_id ON users WHEN old.domain_id IS NOT new.domain_id BEGIN
    SELECT raise(ABORT, 'a user cannot change the domain');
END;

CREATE INDEX users_by_status ON users (domain_id, status);

-- The domain of the property's user. No foreign key: the row goes with its user, who goes with the domain.
ALTER TABLE properties ADD COLUMN domain_id INTEGER CHECK (domain_id > 0);
-- To sort and to filter by. Binary values are too long for an index; nobody sorts by them. It is empty when it is made:
-- otherwise SQLite would sort all rows in memory.
CREATE INDEX properties_by_value ON properties (domain_id, tag, number, folded, user_id)
 WHERE kind <> 'binary' AND domain_id IS NOT NULL;
UPDATE properties SET domain_id = (SELECT domain_id FROM users WHERE id = properties.user_id);
DROP INDEX properties_by_number;

-- One search row for each user, whose row ID begins with the domain: the users of a domain are one range of it. The
-- tokens are made by Python (storage/user_search.py), so what has changed is noted here, and the writer makes the rows
-- anew before it commits.
DROP TRIGGER address_search_insert;
DROP TRIGGER address_search_delete;
DROP TRIGGER address_search_update;
DROP TABLE address_search;
DROP TRIGGER property_search_insert;
DROP TRIGGER property_search_delete;
DROP TRIGGER property_search_update;
DROP TABLE property_search;

CREATE VIRTUAL TABLE user_search USING fts5 (
    username, aliases, altnames, displayname, properties, content = '', contentless_delete = 1, tokenize = 'ascii'
);
-- Users whose search row is to be made anew. No foreign key: the names of a user who is deleted go after the user.
CREATE TABLE search_due (
    user_id INTEGER PRIMARY KEY CHECK (user_id >= 0)
) STRICT;
CREATE TRIGGER search_address_insert AFTER INSERT ON addresses BEGIN
    INSERT INTO search_due SELECT new.user_id WHERE new.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_address_update AFTER UPDATE OF key ON addresses BEGIN
    INSERT INTO search_due SELECT new.user_id WHERE new.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_address_delete AFTER DELETE ON addresses BEGIN
    INSERT INTO search_due SELECT old.user_id WHERE old.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_property_insert AFTER INSERT ON properties WHEN new.kind = 'text' BEGIN
    INSERT INTO search_due SELECT new.user_id WHERE new.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_property_update AFTER UPDATE OF folded ON properties WHEN new.kind = 'text' BEGIN
    INSERT INTO search_due SELECT new.user_id WHERE new.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_property_delete AFTER DELETE ON properties WHEN old.kind = 'text' BEGIN
    INSERT INTO search_due SELECT old.user_id WHERE old.user_id NOT IN (SELECT user_id FROM search_due);
END;
CREATE TRIGGER search_user_delete AFTER DELETE ON users BEGIN
    DELETE FROM user_search WHERE rowid = (old.domain_id << 32) + old.id;
END;

INSERT INTO user_search (rowid, username, aliases, altnames, displayname, properties)
SELECT (u.domain_id << 32) + u.id,
       (SELECT grams(group_concat(key, char(10))) FROM addresses WHERE user_id = u.id AND kind = 'username'),
       (SELECT grams(group_concat(key, char(10))) FROM addresses WHERE user_id = u.id AND kind = 'alias'),
       (SELECT grams(group_concat(key, char(10))) FROM addresses WHERE user_id = u.id AND kind = 'altname'),
       (SELECT grams(folded) FROM properties WHERE user_id = u.id AND tag = 0x3001001F),
       (SELECT grams(group_concat(folded, char(10))) FROM properties
         WHERE user_id = u.id AND tag <> 0x3001001F AND kind = 'text')
  FROM users u INDEXED BY users_by_domain
 WHERE u.domain_id IS NOT NULL
 ORDER BY u.domain_id, u.id;
