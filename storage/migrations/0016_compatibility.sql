-- The oldest schema that a program must know to work with this database: storage/migrations/__init__.py writes it after
-- each migration, and an older program reads it.
CREATE TABLE compatibility (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    oldest_schema INTEGER NOT NULL CHECK (oldest_schema > 0)
) STRICT;
INSERT INTO compatibility (id, oldest_schema) VALUES (1, 16);
