-- What users of a domain may change of their own (schemas/values/self_service.py), as a JSON array; NULL: what is usual.
-- Programs that know schema 16 can go on.
ALTER TABLE domains ADD COLUMN self_service TEXT CHECK (length(self_service) <= 256);

-- What they may not change any more is refused at once, in every process.
CREATE TRIGGER auth_domain_self_service AFTER UPDATE OF self_service ON domains BEGIN
    UPDATE auth_generation SET value = value + 1;
END;
