-- The oldest schema that a program must know to work with this database: see 0016_compatibility.sql of SQLite.
CREATE TABLE compatibility (
    id            bigint CONSTRAINT compatibility_id_pkey PRIMARY KEY CHECK (id = 1),
    oldest_schema bigint NOT NULL CHECK (oldest_schema > 0)
);
INSERT INTO compatibility (id, oldest_schema) VALUES (1, 6);

-- The first databases had a function for each of these two triggers. They become like all others.
CREATE OR REPLACE FUNCTION users_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more bigint := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    UPDATE domains
       SET active_users   = active_users + more * c.active,
           inactive_users = inactive_users + more * c.inactive,
           virtual_users  = virtual_users + more * c.virtual
      FROM (SELECT domain_id,
                   count(*) FILTER (WHERE status = 0) AS active,
                   count(*) FILTER (WHERE status IN (1, 2, 3)) AS inactive,
                   count(*) FILTER (WHERE status IN (4, 5)) AS virtual
              FROM changed GROUP BY domain_id) c
     WHERE id = c.domain_id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER users_count_insert AFTER INSERT ON users REFERENCING NEW TABLE AS changed
   FOR EACH STATEMENT EXECUTE FUNCTION users_count_changed();
CREATE OR REPLACE TRIGGER users_count_delete AFTER DELETE ON users REFERENCING OLD TABLE AS changed
   FOR EACH STATEMENT EXECUTE FUNCTION users_count_changed();
DROP FUNCTION IF EXISTS users_count_insert();
DROP FUNCTION IF EXISTS users_count_delete();
