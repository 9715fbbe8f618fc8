-- What the log tells people, and ways to what it has of one thing that do not
-- cost more as it grows: each index gives the newest operations first.

-- How many lines a batch had; 0 where it was none.
ALTER TABLE system_operation ADD COLUMN lines INTEGER NOT NULL DEFAULT 0;
CREATE INDEX system_operation_actor ON system_operation (actor);
CREATE INDEX system_operation_started ON system_operation (started);

-- The key of a change ends each of these.
DROP INDEX system_operation_change_object;
CREATE INDEX system_operation_change_name ON system_operation_change (noun, name);
CREATE INDEX system_operation_change_noun ON system_operation_change (noun);
CREATE INDEX system_operation_change_account ON system_operation_change (account);

-- What was made, changed and removed, by kind; the units that were told; and
-- what a phase was about where it failed: check, say, within publish.
ALTER TABLE system_operation_phase ADD COLUMN kinds TEXT NOT NULL DEFAULT '[]';
ALTER TABLE system_operation_phase ADD COLUMN reloaded TEXT NOT NULL DEFAULT '[]';
ALTER TABLE system_operation_phase ADD COLUMN during TEXT NOT NULL DEFAULT '';
