-- Plugins that the webmail hides from the users of a domain: a JSON array of names.
ALTER TABLE domains ADD COLUMN disabled_plugins TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(disabled_plugins));

-- The domain that a role was made for when the domain was (createRole): a purge takes both.
ALTER TABLE roles ADD COLUMN made_for INTEGER REFERENCES domains (id) ON DELETE SET NULL;

-- The devices that were seen last, of all users.
CREATE INDEX devices_by_contact ON devices (last_connect_time) WHERE last_connect_time IS NOT NULL;
