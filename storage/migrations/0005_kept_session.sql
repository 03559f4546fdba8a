-- Who changes their own password keeps the session it was changed from: the ID of its token, which counts for as long as
-- the epoch is the one that the change began. Whatever begins another epoch ends it, too.
ALTER TABLE users ADD COLUMN kept_session TEXT;
ALTER TABLE users ADD COLUMN kept_epoch INTEGER CHECK (kept_epoch >= 0);
