// Package remotetest is an SSH server inside the process, for tests and for
// the demo: it runs what a handler says, and fails in the ways that servers do.
package remotetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Handler runs one command, as the login shell would get it, and returns its
// exit status. ctx ends with the connection.
type Handler func(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) int

// Options say what a Server is.
type Options struct {
	// HostKeys; none for one made for the occasion.
	HostKeys []ssh.Signer
	// AuthorizedKeys may log in.
	AuthorizedKeys []ssh.PublicKey
	// Authorities may certify keys that log in.
	Authorities []ssh.PublicKey
	// Login is the only one accepted; "" for any.
	Login string
	// Handler runs commands; nil refuses them.
	Handler Handler
	// Forward allows connections on to other addresses: the server is a jump host.
	Forward bool
	// MaxSessions at once over one connection; 0 for no limit.
	MaxSessions int
	// MaxAuthTries as sshd's; 0 for its default, 6.
	MaxAuthTries int
	Faults       Faults
}

// Faults are the ways in which a Server fails.
type Faults struct {
	// RefuseFirst is how many connections are closed as sshd's MaxStartups
	// closes them; negative for all.
	RefuseFirst int
	// Reset closes refused connections without a word, with a TCP reset.
	Reset bool
	// HangHandshake accepts connections and says nothing.
	HangHandshake bool
	// Garbage comes before the protocol's version, and Nonsense instead of it.
	Garbage, Nonsense string
	// DropAfter breaks each connection once the server has sent that many
	// bytes after the login; 0 for never.
	DropAfter int64
	// DropLogin closes the connection when the client tries to log in.
	DropLogin bool
	// RefuseExec refuses to run commands.
	RefuseExec bool
}

// Server is an SSH server on a port of the loopback interface.
type Server struct {
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	workers  sync.WaitGroup

	mutex       sync.Mutex
	options     Options
	conns       map[*link]bool
	connections int
	attempts    []string
	commands    []string
	received    bytes.Buffer
}

// Listen starts a Server.
func Listen(options Options) (*Server, error) {
	if len(options.HostKeys) == 0 {
		key, err := NewKey()
		if err != nil {
			return nil, err
		}
		options.HostKeys = []ssh.Signer{key}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener, options: options, conns: map[*link]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.workers.Go(s.accept)
	return s, nil
}

// NewKey returns a fresh ed25519 key.
func NewKey() (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(private)
}

// Host returns the address without the port.
func (s *Server) Host() string { return "127.0.0.1" }

// Port returns the port.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// HostKeys returns the server's public host keys, each "type base64".
func (s *Server) HostKeys() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var lines []string
	for _, key := range s.options.HostKeys {
		lines = append(lines, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))))
	}
	return lines
}

// SetHostKeys replaces the host keys, for connections to come.
func (s *Server) SetHostKeys(keys ...ssh.Signer) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.options.HostKeys = keys
}

// SetFaults replaces the faults, for connections to come.
func (s *Server) SetFaults(faults Faults) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.options.Faults = faults
}

// Connections returns how many connections were accepted so far.
func (s *Server) Connections() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.connections
}

// Attempts returns the logins tried so far: "login method".
func (s *Server) Attempts() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.attempts)
}

// Commands returns the commands asked for so far.
func (s *Server) Commands() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.commands)
}

// Received returns the first MiB of what came over the wire, as it came.
func (s *Server) Received() []byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return bytes.Clone(s.received.Bytes())
}

// Stall makes all connections stand still, as a cut cable does, until Resume.
func (s *Server) Stall() { s.each((*link).stall) }

// Resume ends a Stall.
func (s *Server) Resume() { s.each((*link).resume) }

// Drop breaks all connections.
func (s *Server) Drop() { s.each(func(l *link) { l.Close() }) }

func (s *Server) each(do func(*link)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for conn := range s.conns {
		do(conn)
	}
}

// Close ends everything and waits until nothing is left of it.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	s.Resume()
	s.Drop()
	s.workers.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mutex.Lock()
		s.connections++
		faults := s.options.Faults
		refuse := faults.RefuseFirst != 0
		if faults.RefuseFirst > 0 {
			s.options.Faults.RefuseFirst--
		}
		l := newLink(conn, s)
		s.conns[l] = true
		s.mutex.Unlock()
		if s.ctx.Err() != nil {
			conn.Close()
		}
		s.workers.Go(func() {
			defer func() {
				l.Close()
				s.mutex.Lock()
				delete(s.conns, l)
				s.mutex.Unlock()
			}()
			switch {
			case refuse && faults.Reset:
				conn.(*net.TCPConn).SetLinger(0)
			case refuse:
				io.WriteString(conn, "Exceeded MaxStartups\r\n")
			case faults.HangHandshake:
				io.Copy(io.Discard, l)
			case faults.Nonsense != "":
				io.WriteString(l, faults.Nonsense)
				io.Copy(io.Discard, l)
			default:
				io.WriteString(l, faults.Garbage)
				s.serve(l, faults)
			}
		})
	}
}

var errDenied = errors.New("denied")

// config returns how a connection is shaken hands with.
func (s *Server) config(l *link, faults Faults) *ssh.ServerConfig {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	options := s.options
	config := &ssh.ServerConfig{MaxAuthTries: options.MaxAuthTries}
	for _, key := range options.HostKeys {
		config.AddHostKey(key)
	}
	config.AuthLogCallback = func(meta ssh.ConnMetadata, method string, _ error) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.attempts = append(s.attempts, meta.User()+" "+method)
	}
	is := func(keys []ssh.PublicKey, key ssh.PublicKey) bool {
		return slices.ContainsFunc(keys, func(each ssh.PublicKey) bool {
			return bytes.Equal(each.Marshal(), key.Marshal())
		})
	}
	checker := &ssh.CertChecker{
		IsUserAuthority: func(key ssh.PublicKey) bool { return is(options.Authorities, key) },
		UserKeyFallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if is(options.AuthorizedKeys, key) {
				return nil, nil
			}
			return nil, errDenied
		},
	}
	config.PublicKeyCallback = func(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if faults.DropLogin {
			l.Close()
		}
		if options.Login != "" && meta.User() != options.Login {
			return nil, errDenied
		}
		return checker.Authenticate(meta, key)
	}
	return config
}

// serve speaks SSH over one connection.
func (s *Server) serve(l *link, faults Faults) {
	conn, channels, requests, err := ssh.NewServerConn(l, s.config(l, faults))
	if err != nil {
		return
	}
	l.limit(faults.DropAfter)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel() // before waiting
	open.Go(func() { ssh.DiscardRequests(requests) })
	sessions := &counter{limit: s.options.MaxSessions}
	for channel := range channels {
		switch channel.ChannelType() {
		case "session":
			if !sessions.take() {
				channel.Reject(ssh.ConnectionFailed, "open failed")
				continue
			}
			open.Go(func() {
				defer sessions.give()
				s.session(ctx, channel, faults)
			})
		case "direct-tcpip":
			open.Go(func() { s.forward(ctx, channel) })
		default:
			channel.Reject(ssh.UnknownChannelType, "unknown channel type")
		}
	}
	conn.Close()
}

// counter counts what is open at once.
type counter struct {
	mutex       sync.Mutex
	open, limit int
}

func (c *counter) take() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.limit > 0 && c.open >= c.limit {
		return false
	}
	c.open++
	return true
}

func (c *counter) give() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.open--
}
