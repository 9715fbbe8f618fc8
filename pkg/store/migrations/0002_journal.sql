-- The journal: what operations do, what they hold while they last, and what
-- is where on the servers.

-- The identity of this panel, by which servers know whom they follow.
CREATE TABLE system_panel (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	id  TEXT NOT NULL
) STRICT;

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
) STRICT;
CREATE INDEX system_operation_open ON system_operation (number) WHERE state NOT IN ('done', 'undone');

-- Its changes; a secret value is a mark only.
CREATE TABLE system_operation_change (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	position  INTEGER NOT NULL,
	noun      TEXT NOT NULL,
	object    INTEGER NOT NULL,
	name      TEXT NOT NULL,
	account   INTEGER NOT NULL,
	before    TEXT,
	after     TEXT,
	PRIMARY KEY (operation, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX system_operation_change_object ON system_operation_change (noun, object);

-- The accounts that it holds until it ends.
CREATE TABLE system_operation_account (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	account   INTEGER NOT NULL,
	shared    INTEGER NOT NULL,
	PRIMARY KEY (operation, account)
) STRICT, WITHOUT ROWID;

-- The servers that it concerns, and what became of it there: '' until the
-- server has given its proof, then kept, undone, untouched, dirty or abandoned.
CREATE TABLE system_operation_server (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	server    INTEGER NOT NULL,
	name      TEXT NOT NULL,
	sequence  INTEGER NOT NULL,
	outcome   TEXT NOT NULL,
	PRIMARY KEY (operation, server)
) STRICT, WITHOUT ROWID;
CREATE INDEX system_operation_server_sequence ON system_operation_server (server, sequence);

CREATE TABLE system_operation_step (
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	server    INTEGER NOT NULL,
	backend   TEXT NOT NULL,
	wave      INTEGER NOT NULL,
	objects   INTEGER NOT NULL,
	PRIMARY KEY (operation, server, backend)
) STRICT, WITHOUT ROWID;

-- What happened, in order. Durations are microseconds.
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
	actions   TEXT NOT NULL,
	PRIMARY KEY (operation, position)
) STRICT, WITHOUT ROWID;

-- Unique values held by an operation that has not ended.
CREATE TABLE system_claim (
	kind      TEXT NOT NULL,
	value     TEXT NOT NULL,
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX system_claim_operation ON system_claim (operation);

-- Where each object is, by backend.
CREATE TABLE system_placement (
	noun    TEXT NOT NULL,
	object  INTEGER NOT NULL,
	backend TEXT NOT NULL,
	server  INTEGER NOT NULL,
	PRIMARY KEY (noun, object, backend, server)
) STRICT, WITHOUT ROWID;
CREATE INDEX system_placement_server ON system_placement (server, backend);

-- What a server has not heard of yet: it is converged from the current rows.
-- facts are the last ones that the server has heard of the object.
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

-- Operations that a server out of reach must hear the undoing of before
-- anything else: it may have staged them.
CREATE TABLE system_debt (
	server    INTEGER NOT NULL,
	operation INTEGER NOT NULL REFERENCES system_operation (number),
	PRIMARY KEY (server, operation)
) STRICT, WITHOUT ROWID;

-- What this panel knows of a server. sequence is the last one given out, seen
-- the last one that the server has confirmed.
CREATE TABLE system_server_state (
	server   INTEGER PRIMARY KEY,
	sequence INTEGER NOT NULL,
	seen     INTEGER NOT NULL
) STRICT;
