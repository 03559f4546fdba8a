-- Secrets are encrypted from now on, with a key outside of this file. This cannot be done here: storage/sealed.py does it when
-- a service opens the file. An empty text is a secret that was forgotten, because its key was lost.
CREATE TABLE sealing (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    key_id   TEXT NOT NULL,                                    -- of the key in use
    remnants INTEGER NOT NULL CHECK (remnants IN (0, 1))       -- unused parts of the file may still hold plain text
) STRICT;

CREATE TRIGGER settings_insert_sealed BEFORE INSERT ON settings
WHEN new.name = 'token_key' AND new.value NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
CREATE TRIGGER settings_update_sealed BEFORE UPDATE ON settings
WHEN new.name = 'token_key' AND new.value NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
CREATE TRIGGER ldap_configs_insert_sealed BEFORE INSERT ON ldap_configs
WHEN new.bind_pass <> '' AND new.bind_pass NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
CREATE TRIGGER ldap_configs_update_sealed BEFORE UPDATE OF bind_pass ON ldap_configs
WHEN new.bind_pass <> '' AND new.bind_pass NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
CREATE TRIGGER fetchmail_insert_sealed BEFORE INSERT ON fetchmail
WHEN new.src_password <> '' AND new.src_password NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
CREATE TRIGGER fetchmail_update_sealed BEFORE UPDATE OF src_password ON fetchmail
WHEN new.src_password <> '' AND new.src_password NOT GLOB 'sealed:*' BEGIN
    SELECT raise(ABORT, 'a secret would be stored in plain text');
END;
