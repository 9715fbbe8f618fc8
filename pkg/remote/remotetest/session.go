package remotetest

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"
)

// session serves one channel: one command.
func (s *Server) session(ctx context.Context, open ssh.NewChannel, faults Faults) {
	channel, requests, err := open.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	started := false
	for request := range requests {
		var exec struct{ Command string }
		if request.Type != "exec" || started || ssh.Unmarshal(request.Payload, &exec) != nil {
			if request.WantReply {
				request.Reply(request.Type == "env", nil)
			}
			continue
		}
		s.mutex.Lock()
		s.commands = append(s.commands, exec.Command)
		handler := s.options.Handler
		s.mutex.Unlock()
		if handler == nil || faults.RefuseExec {
			request.Reply(false, nil)
			continue
		}
		request.Reply(true, nil)
		started = true
		running.Go(func() {
			status := handler(ctx, exec.Command, channel, channel, channel.Stderr())
			channel.CloseWrite()
			channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
			channel.Close()
		})
	}
	cancel() // the other side let go of the channel
}

// forward connects on to another address.
func (s *Server) forward(ctx context.Context, open ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if !s.options.Forward || ssh.Unmarshal(open.ExtraData(), &to) != nil {
		open.Reject(ssh.Prohibited, "administratively prohibited")
		return
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))))
	if err != nil {
		open.Reject(ssh.ConnectionFailed, "Connection refused")
		return
	}
	defer conn.Close()
	channel, requests, err := open.Accept()
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { ssh.DiscardRequests(requests) })
	both.Go(func() {
		io.Copy(conn, channel)
		conn.Close()
	})
	io.Copy(channel, conn)
	channel.Close()
	both.Wait()
}
