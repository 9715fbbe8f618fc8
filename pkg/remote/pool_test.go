package remote

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"orchestra/pkg/fault"
	"orchestra/pkg/remote/remotetest"
)

// behindJump returns a jump host, a server, and a target for it over the jump host.
func behindJump(t *testing.T) (jump, server *remotetest.Server, target Target) {
	server, target = serve(t, remotetest.Options{Handler: echo})
	jump, gate := serve(t, remotetest.Options{Forward: true})
	gate.Name = "gw"
	target.Jump = &gate
	return jump, server, target
}

func TestJump(t *testing.T) {
	t.Run("through", func(t *testing.T) {
		jump, server, target := behindJump(t)
		_, err := run(t, connect(t, target), "", "/bin/true")
		must(t, err)
		if jump.Connections() != 1 || server.Connections() != 1 || len(jump.Commands()) > 0 {
			t.Errorf("%d %d %q", jump.Connections(), server.Connections(), jump.Commands())
		}
	})
	t.Run("the jump host's key has changed", func(t *testing.T) {
		jump, server, target := behindJump(t)
		key, err := remotetest.NewKey()
		must(t, err)
		jump.SetHostKeys(key)
		_, err = DialSSH(t.Context(), target)
		refused(t, err, fault.Conflict, "server gw shows another host key")
		if server.Connections() > 0 || len(jump.Attempts()) > 0 {
			t.Error("somebody was talked to")
		}
	})
	t.Run("the server's key has changed", func(t *testing.T) {
		_, server, target := behindJump(t)
		key, err := remotetest.NewKey()
		must(t, err)
		server.SetHostKeys(key)
		_, err = DialSSH(t.Context(), target)
		refused(t, err, fault.Conflict, "server h11 shows another host key")
		if len(server.Attempts()) > 0 {
			t.Error("it was told who we are")
		}
	})
	t.Run("leads nowhere", func(t *testing.T) {
		_, server, target := behindJump(t)
		server.Close()
		_, err := DialSSH(t.Context(), target)
		refused(t, err, fault.Unreachable, "the jump host gw cannot reach server h11", "Connection refused")
	})
	t.Run("forbids it", func(t *testing.T) {
		_, _, target := behindJump(t)
		_, gate := serve(t, remotetest.Options{})
		gate.Name = "gw"
		target.Jump = &gate
		_, err := DialSSH(t.Context(), target)
		refused(t, err, fault.Unreachable, "the jump host gw does not allow", "AllowTcpForwarding")
	})
	t.Run("keys are fetched through it", func(t *testing.T) {
		_, server, target := behindJump(t)
		target.HostKeys = nil
		keys, err := FetchHostKeys(t.Context(), target)
		must(t, err)
		if len(keys) != 1 || keys[0].Line != server.HostKeys()[0] {
			t.Errorf("%+v", keys)
		}
	})
	t.Run("stands still", func(t *testing.T) {
		jump, _, target := behindJump(t)
		target.Keepalive = 50 * time.Millisecond
		transport := connect(t, target)
		jump.Stall()
		began := time.Now()
		defer func() {
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		}()
		process, err := transport.Start(t.Context(), Command{Program: "/bin/true"})
		if err == nil {
			err = process.Wait()
		}
		refused(t, err, fault.Unreachable, "h11")
	})
}

func TestPool(t *testing.T) {
	newPool := func(t *testing.T) *Pool {
		pool := NewPool()
		t.Cleanup(func() { pool.Close() })
		return pool
	}
	t.Run("one connection for all who ask at once, and one to the jump host", func(t *testing.T) {
		jump, server, target := behindJump(t)
		pool := newPool(t)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				transport, err := pool.Get(t.Context(), target)
				if err == nil {
					_, err = run(t, transport, "", "/bin/true")
					transport.Close()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if _, err := pool.Get(t.Context(), *target.Jump); err != nil {
			t.Error(err)
		}
		if jump.Connections() != 1 || server.Connections() != 1 {
			t.Errorf("%d connections to the jump host, %d to the server", jump.Connections(), server.Connections())
		}
	})
	t.Run("a broken connection is made again", func(t *testing.T) {
		server, target := serve(t, remotetest.Options{Handler: echo})
		pool := newPool(t)
		transport, err := pool.Get(t.Context(), target)
		must(t, err)
		for want := 1; want <= 3; want++ {
			if _, err := run(t, transport, "", "/bin/true"); err != nil {
				t.Fatal(err)
			}
			if got := server.Connections(); got != want {
				t.Errorf("%d connections, want %d", got, want)
			}
			server.Drop()
		}
	})
	t.Run("another key on record means another connection", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Handler: echo})
		pool := newPool(t)
		_, err := pool.Get(t.Context(), target)
		must(t, err)
		key, err := remotetest.NewKey()
		must(t, err)
		target.HostKeys = []string{line(key.PublicKey())}
		_, err = pool.Get(t.Context(), target)
		refused(t, err, fault.Conflict, "another host key")
	})
	t.Run("a failure is not remembered", func(t *testing.T) {
		server, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{Nonsense: "no\n"}})
		target.ConnectTimeout = 200 * time.Millisecond
		pool := newPool(t)
		_, err := pool.Get(t.Context(), target)
		refused(t, err, fault.Unreachable, "h11")
		server.SetFaults(remotetest.Faults{})
		_, err = pool.Get(t.Context(), target)
		must(t, err)
	})
	t.Run("those who wait give up in time", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Faults: remotetest.Faults{HangHandshake: true}})
		target.ConnectTimeout = 300 * time.Millisecond
		pool := newPool(t)
		began := time.Now()
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				_, err := pool.Get(t.Context(), target)
				refused(t, err, fault.Unreachable, "h11", "did not answer")
			})
		}
		group.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
	t.Run("closed", func(t *testing.T) {
		_, target := serve(t, remotetest.Options{Handler: echo})
		pool := NewPool()
		transport, err := pool.Get(t.Context(), target)
		must(t, err)
		must(t, pool.Close())
		if _, err := transport.Start(t.Context(), Command{Program: "/bin/true"}); !errors.Is(err, errPoolClosed) {
			t.Error(err)
		}
	})
}

// TestManyProcesses: fifty connections at once to a server that takes ten
// that are not logged in, as sshd does (MaxStartups 10:30:100).
func TestManyProcesses(t *testing.T) {
	server, target := serve(t, remotetest.Options{Handler: echo, Faults: remotetest.Faults{RefuseFirst: 60}})
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			transport, err := DialSSH(context.Background(), target)
			if err != nil {
				t.Error(err)
				return
			}
			defer transport.Close()
			if output, err := run(t, transport, "", "/bin/true"); err != nil || !strings.Contains(output, "/bin/true") {
				t.Errorf("%q %v", output, err)
			}
		})
	}
	group.Wait()
	if got := server.Connections(); got != 110 {
		t.Errorf("%d connections", got)
	}
}
