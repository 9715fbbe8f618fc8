-- The account that an object left by a change, 0 for none: its log tells of it, too.
ALTER TABLE system_operation_change ADD COLUMN former INTEGER NOT NULL DEFAULT 0;
CREATE INDEX system_operation_change_former ON system_operation_change (former) WHERE former <> 0;
