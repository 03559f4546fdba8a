-- Whose a task is: the machine, in a form that no other has, a name that no other process has, and its last sign of life
-- as UNIX time. The number of a process means nothing in another container, and comes again.
ALTER TABLE tasks ADD COLUMN node TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE tasks ADD COLUMN seen INTEGER NOT NULL DEFAULT 0 CHECK (seen >= 0);
