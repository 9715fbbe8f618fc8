-- A database of the first version: fewer nouns, fewer fields, no journal.
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE system_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash TEXT NOT NULL
) STRICT;
CREATE TABLE system_counters (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE "accounts" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "type" TEXT,
    "created" TEXT,
    "disabled" TEXT
) STRICT;
CREATE UNIQUE INDEX "accounts_name" ON "accounts" ("name");
CREATE TABLE "users" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "account" INTEGER REFERENCES "accounts" (id),
    "uid" INTEGER,
    "shell" TEXT,
    "created" TEXT,
    "disabled" TEXT
) STRICT;
CREATE UNIQUE INDEX "users_name" ON "users" ("name");
CREATE INDEX "users_account" ON "users" ("account");
INSERT INTO accounts VALUES (1, 'acme', 'company', '2026-01-01T00:00:00Z', NULL);
INSERT INTO users VALUES (1, 'acme-web', 1, 70000, '/bin/bash', '2026-01-01T00:00:00Z', '["unpaid"]');
INSERT INTO system_counters VALUES ('id.account', 1), ('id.user', 1), ('unix_id', 70000);
INSERT INTO system_schema VALUES (1, 'the hash of then');
PRAGMA user_version = 1;
COMMIT;
