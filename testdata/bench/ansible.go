package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"orchestra/testdata/fleet"
)

//go:embed ansible.yml
var playbook []byte

// key lets the users in: nobody has its private half.
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl bench@example.org"

// againstAnsible compares a batch of 100 users, with group, home and key, with
// the same in Ansible: pipelining on, facts off, a fork for each server.
func (b *bench) againstAnsible(ctx context.Context) error {
	const work = "100 users with keys on 3 servers"
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		fmt.Fprintf(os.Stderr, "\n*** NOT MEASURED: %s against Ansible, which is not installed: apt-get install ansible-core ***\n\n", work)
		b.table.unmeasured(work+", against Ansible", "ansible-core is not installed")
		return nil
	}
	var batch strings.Builder
	for i := range 100 {
		fmt.Fprintf(&batch, "user add %%s%03d --account bench --access shell --shell /bin/bash --key '%s'\n", i, key)
	}
	ours, err := b.median(func(round int) (spent, error) {
		return b.orchestra(ctx, strings.ReplaceAll(batch.String(), "%s", fmt.Sprintf("bench-k%d-", round)), "batch")
	})
	if err != nil {
		return err
	}
	theirs, err := b.ansible(ctx, program)
	if err != nil {
		return err
	}
	b.table.ratio(work, theirs, "against Ansible, pipelined, in the same run", ours.wall, 60, true)
	return nil
}

// ansible runs the playbook once, and checks that it did what it says.
func (b *bench) ansible(ctx context.Context, program string) (time.Duration, error) {
	var inventory strings.Builder
	for _, host := range b.fleet.Hosts() {
		fmt.Fprintf(&inventory, "%s ansible_host=%s\n", host.Name, host.Address)
	}
	hosts, file := filepath.Join(b.directory, "inventory"), filepath.Join(b.directory, "ansible.yml")
	if err := os.WriteFile(hosts, []byte(inventory.String()), 0o600); err != nil {
		return 0, err
	}
	if err := os.WriteFile(file, playbook, 0o600); err != nil {
		return 0, err
	}
	command := b.fleet.Command(ctx, program, "-i", hosts, "-e", "key='"+key+"'", file)
	command.Env = append(os.Environ(), "ANSIBLE_PIPELINING=1", "ANSIBLE_FORKS=10", "ANSIBLE_HOME="+b.directory, "LC_ALL=C.UTF-8",
		"ANSIBLE_REMOTE_USER=root", "ANSIBLE_PRIVATE_KEY_FILE="+b.fleet.IdentityFile(), "ANSIBLE_NOCOLOR=1",
		"ANSIBLE_SSH_ARGS=-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile="+b.fleet.KnownHostsFile())
	cost, err := run(command, "")
	if err != nil {
		return 0, err
	}
	_, err = b.onAll(func(host *fleet.Host) error {
		return b.ssh(ctx, host, `test "$(getent passwd | grep -c ^ansible)" = 100 && test "$(ls /etc/ssh/orchestra/keys | grep -c ^ansible)" = 100`)
	})
	return cost.wall, err
}
