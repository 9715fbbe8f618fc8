package remotetest

import (
	"net"
	"sync"
)

// link is a connection that can stand still and break.
type link struct {
	net.Conn
	server *Server

	mutex   sync.Mutex
	moves   sync.Cond
	stalled bool
	closed  bool
	limited bool
	left    int64 // bytes that may still be sent
}

func newLink(conn net.Conn, server *Server) *link {
	l := &link{Conn: conn, server: server}
	l.moves.L = &l.mutex
	return l
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.waitUntilMoving()
	l.server.mutex.Lock()
	if room := 1<<20 - l.server.received.Len(); room > 0 {
		l.server.received.Write(p[:min(n, room)])
	}
	l.server.mutex.Unlock()
	return n, err
}

func (l *link) Write(p []byte) (int, error) {
	l.waitUntilMoving()
	l.mutex.Lock()
	if l.limited {
		if l.left < int64(len(p)) {
			p = p[:l.left]
		}
		l.left -= int64(len(p))
	}
	over := l.limited && l.left == 0
	l.mutex.Unlock()
	n, err := l.Conn.Write(p)
	if over {
		l.Close()
		return n, net.ErrClosed
	}
	return n, err
}

// limit breaks the connection once count more bytes were sent; 0 for never.
func (l *link) limit(count int64) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.limited, l.left = count > 0, count
}

func (l *link) waitUntilMoving() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for l.stalled && !l.closed {
		l.moves.Wait()
	}
}

func (l *link) stall() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.stalled = true
}

func (l *link) resume() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.stalled = false
	l.moves.Broadcast()
}

func (l *link) Close() error {
	l.mutex.Lock()
	l.closed = true
	l.moves.Broadcast()
	l.mutex.Unlock()
	return l.Conn.Close()
}
