package main

import (
	"context"
	"errors"
	"os/exec"
)

// firstContact compares the copying of the runtime with scp of the same file.
func (b *bench) firstContact(ctx context.Context) error {
	host := b.fleet.Host(0)
	forget := func() error {
		return errors.Join(b.ssh(ctx, host, "rm -rf /var/lib/orchestra/bin /tmp/scp"))
	}
	copied, err := b.median(func(int) (spent, error) {
		if err := forget(); err != nil {
			return spent{}, err
		}
		return run(b.scp(ctx, b.binary, host.Address), "")
	})
	if err != nil {
		return err
	}
	first, err := b.median(func(int) (spent, error) {
		if err := forget(); err != nil {
			return spent{}, err
		}
		return b.orchestra(ctx, "", "server", "check", host.Name)
	})
	if err != nil {
		return err
	}
	b.table.ratio("first contact: `server check` with the copying of the runtime", first.wall, "scp of the same file", copied.wall, 1.2, false)
	return nil
}

func (b *bench) scp(ctx context.Context, file, address string) *exec.Cmd {
	return b.fleet.Command(ctx, "scp", "-q", "-o", "UserKnownHostsFile="+b.fleet.KnownHostsFile(),
		"-i", b.fleet.IdentityFile(), file, "root@"+address+":/tmp/scp")
}
