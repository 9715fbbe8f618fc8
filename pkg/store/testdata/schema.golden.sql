CREATE TABLE "accounts" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "type" TEXT,
    "email" TEXT,
    "notes" TEXT,
    "created" TEXT,
    "disabled" TEXT
) STRICT;

CREATE TABLE "addresses" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "account" INTEGER REFERENCES "accounts" (id),
    "domain" INTEGER REFERENCES "domains" (id),
    "mailbox" INTEGER REFERENCES "mailboxes" (id),
    "copy" INTEGER REFERENCES "mailboxes" (id),
    "created" TEXT
) STRICT;

CREATE TABLE "domains" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "account" INTEGER REFERENCES "accounts" (id),
    "created" TEXT
) STRICT;

CREATE TABLE "mailboxes" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "account" INTEGER REFERENCES "accounts" (id),
    "created" TEXT
) STRICT;

CREATE TABLE "records" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "domain" INTEGER REFERENCES "domains" (id),
    "value" TEXT,
    "created" TEXT,
    "disabled" TEXT
) STRICT;

CREATE TABLE "servers" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "port" INTEGER,
    "created" TEXT,
    "disabled" TEXT
) STRICT;

CREATE TABLE sqlite_sequence(name,seq);

CREATE TABLE system_claim (
	kind      TEXT NOT NULL,
	value     TEXT NOT NULL,
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_counters (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE system_debt (
	server    INTEGER NOT NULL,
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	PRIMARY KEY (server, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_dirty (
	server  INTEGER NOT NULL,
	backend TEXT NOT NULL,
	noun    TEXT NOT NULL,
	object  INTEGER NOT NULL,
	name    TEXT NOT NULL,
	account INTEGER NOT NULL,
	version INTEGER NOT NULL,
	facts   TEXT,
	since   TEXT NOT NULL,
	PRIMARY KEY (server, backend, noun, object)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_operation (
	number  INTEGER PRIMARY KEY AUTOINCREMENT,
	id      TEXT NOT NULL UNIQUE,
	state   TEXT NOT NULL CHECK (state IN ('running', 'committed', 'done', 'undoing', 'undone')),
	kind    TEXT NOT NULL,
	actor   TEXT NOT NULL,
	command TEXT NOT NULL,
	reason  TEXT NOT NULL,
	started TEXT NOT NULL,
	ended   TEXT,
	failure TEXT
, lines INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE system_operation_account (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	account   INTEGER NOT NULL,
	shared    INTEGER NOT NULL,
	PRIMARY KEY (operation, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_operation_change (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	position  INTEGER NOT NULL,
	noun      TEXT NOT NULL,
	object    INTEGER NOT NULL,
	name      TEXT NOT NULL,
	account   INTEGER NOT NULL,
	before    TEXT,
	after     TEXT, former INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (operation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_operation_phase (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	position  INTEGER NOT NULL,
	server    INTEGER NOT NULL,
	backend   TEXT NOT NULL,
	phase     TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	started   TEXT NOT NULL,
	duration  INTEGER NOT NULL,
	changed   INTEGER NOT NULL,
	resource  TEXT NOT NULL,
	message   TEXT NOT NULL,
	output    TEXT NOT NULL,
	actions   TEXT NOT NULL, kinds TEXT NOT NULL DEFAULT '[]', reloaded TEXT NOT NULL DEFAULT '[]', during TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (operation, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_operation_server (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	server    INTEGER NOT NULL,
	name      TEXT NOT NULL,
	sequence  INTEGER NOT NULL,
	outcome   TEXT NOT NULL,
	PRIMARY KEY (operation, server)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_operation_step (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	server    INTEGER NOT NULL,
	backend   TEXT NOT NULL,
	wave      INTEGER NOT NULL,
	objects   INTEGER NOT NULL,
	PRIMARY KEY (operation, server, backend)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_outage (
	server INTEGER PRIMARY KEY,
	since  INTEGER NOT NULL,
	tried  INTEGER NOT NULL
) STRICT;

CREATE TABLE system_panel (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	id  TEXT NOT NULL
) STRICT;

CREATE TABLE system_placement (
	noun    TEXT NOT NULL,
	object  INTEGER NOT NULL,
	backend TEXT NOT NULL,
	server  INTEGER NOT NULL,
	PRIMARY KEY (noun, object, backend, server)
) STRICT, WITHOUT ROWID;

CREATE TABLE system_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash TEXT NOT NULL
) STRICT;

CREATE TABLE system_server_state (
	server   INTEGER PRIMARY KEY,
	sequence INTEGER NOT NULL,
	seen     INTEGER NOT NULL
) STRICT;

CREATE TABLE "users" (
    id INTEGER PRIMARY KEY,
    "name" TEXT NOT NULL,
    "account" INTEGER REFERENCES "accounts" (id),
    "uid" INTEGER,
    "shell" TEXT,
    "ssh_key" TEXT,
    "group" TEXT,
    "backup" INTEGER,
    "password" TEXT,
    "home" TEXT,
    "created" TEXT,
    "disabled" TEXT
) STRICT;

CREATE UNIQUE INDEX "accounts_name" ON "accounts" ("name");

CREATE INDEX "addresses_account" ON "addresses" ("account");

CREATE INDEX "addresses_copy" ON "addresses" ("copy");

CREATE INDEX "addresses_domain" ON "addresses" ("domain");

CREATE INDEX "addresses_mailbox" ON "addresses" ("mailbox");

CREATE UNIQUE INDEX "addresses_name" ON "addresses" ("name");

CREATE INDEX "domains_account" ON "domains" ("account");

CREATE UNIQUE INDEX "domains_name" ON "domains" ("name");

CREATE INDEX "mailboxes_account" ON "mailboxes" ("account");

CREATE UNIQUE INDEX "mailboxes_name" ON "mailboxes" ("name");

CREATE INDEX "records_domain" ON "records" ("domain");

CREATE UNIQUE INDEX "records_name" ON "records" ("name");

CREATE UNIQUE INDEX "servers_name" ON "servers" ("name");

CREATE INDEX system_claim_operation ON system_claim (operation);

CREATE INDEX system_operation_actor ON system_operation (actor);

CREATE INDEX system_operation_change_account ON system_operation_change (account);

CREATE INDEX system_operation_change_former ON system_operation_change (former) WHERE former <> 0;

CREATE INDEX system_operation_change_name ON system_operation_change (noun, name);

CREATE INDEX system_operation_change_noun ON system_operation_change (noun);

CREATE INDEX system_operation_open ON system_operation (number) WHERE state NOT IN ('done', 'undone');

CREATE INDEX system_operation_server_sequence ON system_operation_server (server, sequence);

CREATE INDEX system_operation_started ON system_operation (started);

CREATE INDEX system_placement_server ON system_placement (server, backend);

CREATE INDEX "users_account" ON "users" ("account");

CREATE UNIQUE INDEX "users_name" ON "users" ("name");

CREATE UNIQUE INDEX "users_uid" ON "users" ("uid");
