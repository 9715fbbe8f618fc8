-- Servers that were out of reach when they were last tried: since when, and
-- when that was, in microseconds since 1970.
CREATE TABLE system_outage (
	server INTEGER PRIMARY KEY,
	since  INTEGER NOT NULL,
	tried  INTEGER NOT NULL
) STRICT;
