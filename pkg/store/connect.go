package store

import (
	"database/sql"
	"net/url"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// busyTimeout is how long a connection waits for another one's write. Writes
// are short: nobody holds one across the network.
const busyTimeout = 20 * time.Second

// connect returns a pool whose every connection has the same pragmas.
func connect(path string) (*sql.DB, error) {
	parameters := url.Values{}
	parameters.Set("mode", "rw") // never made by opening it
	parameters.Set("_busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10))
	// With NORMAL, WAL can lose an acknowledged commit at a power cut.
	parameters.Set("_synchronous", "FULL")
	parameters.Set("_foreign_keys", "1")
	parameters.Set("_txlock", "immediate")
	// A name that is misspelt is an error, not a string.
	parameters.Set("_dqs", "0")
	parameters.Set("_defensive", "1")
	parameters.Set("_error_rc", "1")
	address := url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}
	return sql.Open("sqlite", address.String())
}
