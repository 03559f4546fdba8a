-- How many users of a domain have each display type and status: see 0012_display_types.sql of SQLite.
CREATE TABLE display_type_counts (
    domain_id    bigint NOT NULL REFERENCES domains (id) ON DELETE CASCADE,
    status       bigint NOT NULL CHECK (status IN (0, 1, 2, 3, 4, 5)),
    display_type bigint NOT NULL CHECK (display_type BETWEEN -2147483648 AND 4294967295),
    users        bigint NOT NULL CHECK (users >= 0),
    CONSTRAINT display_type_counts_domain_id_pkey PRIMARY KEY (domain_id, status, display_type)
);

INSERT INTO display_type_counts (domain_id, status, display_type, users)
SELECT u.domain_id, u.status, p.number, count(*)
  FROM properties p
  JOIN users u ON u.id = p.user_id
 WHERE p.tag = 956628995 AND u.domain_id IS NOT NULL
 GROUP BY u.domain_id, u.status, p.number;

-- Adds a number to the count of a domain, a status and a type; a row of nobody is deleted.
CREATE FUNCTION count_display_type(of_domain bigint, of_status bigint, of_type bigint, more bigint)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF of_domain IS NULL OR of_status IS NULL OR of_type IS NULL THEN
        RETURN;
    END IF;
    IF more > 0 THEN
        INSERT INTO display_type_counts AS c (domain_id, status, display_type, users)
        VALUES (of_domain, of_status, of_type, more)
            ON CONFLICT (domain_id, status, display_type) DO UPDATE SET users = c.users + more;
        RETURN;
    END IF;
    -- The rows of a domain that is deleted go with it, and must not be touched before.
    IF NOT EXISTS (SELECT 1 FROM domains WHERE id = of_domain) THEN
        RETURN;
    END IF;
    UPDATE display_type_counts
       SET users = users + more
     WHERE domain_id = of_domain AND status = of_status AND display_type = of_type;
    DELETE FROM display_type_counts
     WHERE domain_id = of_domain AND status = of_status AND display_type = of_type AND users = 0;
END $$;

CREATE FUNCTION display_type_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM count_display_type(
            old.domain_id, (SELECT status FROM users WHERE id = old.user_id), old.number, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM count_display_type(
            new.domain_id, (SELECT status FROM users WHERE id = new.user_id), new.number, 1);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER display_type_insert AFTER INSERT ON properties FOR EACH ROW
  WHEN (new.tag = 956628995) EXECUTE FUNCTION display_type_changed();
-- Of a user who is deleted, display_type_user_delete has been there before: then there is no status any more.
CREATE TRIGGER display_type_delete AFTER DELETE ON properties FOR EACH ROW
  WHEN (old.tag = 956628995) EXECUTE FUNCTION display_type_changed();
CREATE TRIGGER display_type_update AFTER UPDATE OF number ON properties FOR EACH ROW
  WHEN (new.tag = 956628995 AND old.number IS DISTINCT FROM new.number) EXECUTE FUNCTION display_type_changed();

CREATE FUNCTION display_type_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_type bigint := (SELECT number FROM properties WHERE user_id = old.id AND tag = 956628995);
BEGIN
    PERFORM count_display_type(old.domain_id, old.status, of_type, -1);
    IF TG_OP = 'DELETE' THEN
        RETURN old;
    END IF;
    PERFORM count_display_type(new.domain_id, new.status, of_type, 1);
    RETURN NULL;
END $$;
CREATE TRIGGER display_type_user_delete BEFORE DELETE ON users FOR EACH ROW
  EXECUTE FUNCTION display_type_user_changed();
CREATE TRIGGER display_type_user_update AFTER UPDATE OF status ON users FOR EACH ROW
  WHEN (old.status <> new.status) EXECUTE FUNCTION display_type_user_changed();
