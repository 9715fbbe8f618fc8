package remote

import (
	"net"
	"strings"
	"sync"
)

// opening is a connection that remembers the first bytes that came over it:
// a server that refuses before the handshake may say why in clear text
// ("Exceeded MaxStartups").
type opening struct {
	net.Conn
	mutex sync.Mutex
	first []byte
}

const maxOpening = 256

func (o *opening) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if n > 0 {
		o.mutex.Lock()
		if room := maxOpening - len(o.first); room > 0 {
			o.first = append(o.first, p[:min(n, room)]...)
		}
		o.mutex.Unlock()
	}
	return n, err
}

// text returns the clear text that the server sent instead of a handshake.
func (o *opening) text() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	for _, b := range o.first {
		if b >= 0x80 {
			return ""
		}
	}
	said := printable(string(o.first))
	if strings.HasPrefix(said, "SSH-") {
		return ""
	}
	return said
}
