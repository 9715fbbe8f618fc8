-- What the engine itself keeps. Tables of nouns follow from their declarations.

-- The hash of the declarations that the nouns' tables were made from.
CREATE TABLE system_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hash TEXT NOT NULL
) STRICT;

-- The last number that each counter gave. They never go back.
CREATE TABLE system_counters (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
