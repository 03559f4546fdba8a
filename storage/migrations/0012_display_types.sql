-- How many users of a domain have each display type and status: what consoles filter every list of users by. Counting
-- a million of them takes too long for a page. There is no row for none.
CREATE TABLE display_type_counts (
    domain_id    INTEGER NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    status       INTEGER NOT NULL CHECK (status IN (0, 1, 2, 3, 4, 5)),
    display_type INTEGER NOT NULL CHECK (display_type BETWEEN -0x80000000 AND 0xffffffff),
    users        INTEGER NOT NULL CHECK (users >= 0),
    PRIMARY KEY (domain_id, status, display_type)
) STRICT, WITHOUT ROWID;

INSERT INTO display_type_counts (domain_id, status, display_type, users)
SELECT u.domain_id, u.status, p.number, count(*)
  FROM properties p
  JOIN users u ON u.id = p.user_id
 WHERE p.tag = 0x39050003 AND u.domain_id IS NOT NULL
 GROUP BY u.domain_id, u.status, p.number;

CREATE TRIGGER display_type_insert AFTER INSERT ON properties
  WHEN new.tag = 0x39050003 AND new.domain_id IS NOT NULL BEGIN
    INSERT INTO display_type_counts (domain_id, status, display_type, users)
    VALUES (new.domain_id, (SELECT status FROM users WHERE id = new.user_id), new.number, 1)
        ON CONFLICT (domain_id, status, display_type) DO UPDATE SET users = users + 1;
END;
-- Of a user who is deleted, display_type_user_delete has been there before: then there is no status any more.
CREATE TRIGGER display_type_delete AFTER DELETE ON properties WHEN old.tag = 0x39050003 BEGIN
    UPDATE display_type_counts
       SET users = users - 1
     WHERE domain_id = old.domain_id
       AND status = (SELECT status FROM users WHERE id = old.user_id)
       AND display_type = old.number;
    DELETE FROM display_type_counts
     WHERE domain_id = old.domain_id
       AND status = (SELECT status FROM users WHERE id = old.user_id)
       AND display_type = old.number
       AND users = 0;
END;
CREATE TRIGGER display_type_update AFTER UPDATE OF number ON properties
  WHEN new.tag = 0x39050003 AND old.number <> new.number AND new.domain_id IS NOT NULL BEGIN
    UPDATE display_type_counts
       SET users = users - 1
     WHERE domain_id = old.domain_id
       AND status = (SELECT status FROM users WHERE id = old.user_id)
       AND display_type = old.number;
    DELETE FROM display_type_counts
     WHERE domain_id = old.domain_id
       AND status = (SELECT status FROM users WHERE id = old.user_id)
       AND display_type = old.number
       AND users = 0;
    INSERT INTO display_type_counts (domain_id, status, display_type, users)
    VALUES (new.domain_id, (SELECT status FROM users WHERE id = new.user_id), new.number, 1)
        ON CONFLICT (domain_id, status, display_type) DO UPDATE SET users = users + 1;
END;
CREATE TRIGGER display_type_user_delete BEFORE DELETE ON users BEGIN
    UPDATE display_type_counts
       SET users = users - 1
     WHERE domain_id = old.domain_id
       AND status = old.status
       AND display_type = (SELECT number FROM properties WHERE user_id = old.id AND tag = 0x39050003);
    DELETE FROM display_type_counts
     WHERE domain_id = old.domain_id
       AND status = old.status
       AND display_type = (SELECT number FROM properties WHERE user_id = old.id AND tag = 0x39050003)
       AND users = 0;
END;
CREATE TRIGGER display_type_user_update AFTER UPDATE OF status ON users
  WHEN old.status <> new.status
   AND new.domain_id IS NOT NULL
   AND EXISTS (SELECT 1 FROM properties WHERE user_id = new.id AND tag = 0x39050003) BEGIN
    UPDATE display_type_counts
       SET users = users - 1
     WHERE domain_id = old.domain_id
       AND status = old.status
       AND display_type = (SELECT number FROM properties WHERE user_id = old.id AND tag = 0x39050003);
    DELETE FROM display_type_counts
     WHERE domain_id = old.domain_id
       AND status = old.status
       AND display_type = (SELECT number FROM properties WHERE user_id = old.id AND tag = 0x39050003)
       AND users = 0;
    INSERT INTO display_type_counts (domain_id, status, display_type, users)
    VALUES (
        new.domain_id, new.status, (SELECT number FROM properties WHERE user_id = new.id AND tag = 0x39050003), 1
    )
        ON CONFLICT (domain_id, status, display_type) DO UPDATE SET users = users + 1;
END;
