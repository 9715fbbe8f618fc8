package runtime

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/wire"
)

const (
	accountsLock     = "/etc/.pwd.lock" // of lckpwdf(3)
	accountsWait     = 15 * time.Second // as lckpwdf(3) waits
	accountsInterval = 20 * time.Millisecond
)

// plan gives all resources of a step one temporary name, for all four files.
func (accountsKind) plan(o *operation, resources []*resource) error {
	temp := o.tempName("/etc")
	for _, r := range resources {
		r.Temp = temp
	}
	return nil
}

// stage sets space aside beside each file that will be written anew: once to
// publish and once to undo.
func (accountsKind) stage(_ context.Context, o *operation, resources []*resource) error {
	files, err := o.accountsNow()
	if err != nil {
		return fail(wire.CodeInternal, pathPasswd, "the files of accounts can't be read").because(err)
	}
	edits, err := editAccounts(files, resources, false)
	if err != nil {
		return err
	}
	for path, edited := range edits.apply(files) {
		info, err := o.machine.disk.Stat(path)
		if err != nil {
			return fail(wire.CodeInternal, path, "it can't be looked at").because(err)
		}
		size := max(len(edited), len(files[path])) + entryGrowth
		for _, temp := range []string{accountsTemp(resources[0].Temp, path), undoName(accountsTemp(resources[0].Temp, path))} {
			o.touch(temp)
			err := o.machine.disk.Create(temp, nil, info.Attributes)
			if err == nil {
				err = o.machine.disk.Allocate(temp, int64(size))
			}
			if err == nil {
				err = o.machine.disk.CopyExtended(path, temp)
			}
			if err != nil {
				return fail(wire.CodeInternal, path, "no space can be set aside beside it").because(err)
			}
			o.unsynced = append(o.unsynced, temp)
		}
	}
	return nil
}

func accountsTemp(base, path string) string { return base + "." + strings.TrimPrefix(path, "/etc/") }

func (accountsKind) publish(ctx context.Context, o *operation, resources []*resource) error {
	o.machine.progress("publishing accounts", 0, len(resources))
	return o.withAccounts(ctx, o.lockWait, func() error {
		return o.rewriteAccounts(resources, false)
	})
}

func (accountsKind) undo(ctx context.Context, o *operation, resources []*resource) []error {
	o.machine.progress("undoing accounts", 0, len(resources))
	err := o.withAccounts(ctx, accountsWait, func() error { return o.rewriteAccounts(resources, true) })
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// withAccounts runs f while no tool of shadow's can be at work, and tells the
// caches of names afterwards.
func (o *operation) withAccounts(ctx context.Context, wait time.Duration, f func() error) error {
	lock, err := o.machine.lock(ctx, accountsLock, true, max(wait, accountsWait))
	if err != nil {
		return err
	}
	err = o.waitForEditors(ctx, max(wait, accountsWait))
	if err == nil {
		err = f()
	}
	err = errors.Join(err, lock.Unlock())
	o.tellCaches(ctx)
	return err
}

// lock takes a lock, waiting for it.
func (m *machine) lock(ctx context.Context, name string, record bool, wait time.Duration) (Unlocker, error) {
	for waited := time.Duration(0); ; waited += accountsInterval { // no clock is asked: it may jump
		lock, err := m.disk.Lock(name, record)
		if err == nil {
			return lock, nil
		}
		if !errors.Is(err, ErrLocked) {
			return nil, fail(wire.CodeInternal, name, "it can't be locked").because(err)
		}
		if waited >= wait {
			return nil, fail(wire.CodeBusy, name, "somebody else has held the lock for %v", wait)
		}
		m.progress("waiting for "+name, 0, 0)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-m.clock.After(accountsInterval):
		}
	}
}

// waitForEditors respects the lock files of tools that do not take lckpwdf(3): a file that
// holds the number of a process that lives.
func (o *operation) waitForEditors(ctx context.Context, wait time.Duration) error {
	m := o.machine
	for _, path := range accountPaths {
		name := path + ".lock"
		for waited := time.Duration(0); ; waited += accountsInterval {
			data, _, err := m.disk.Read(name, 100)
			pid, numberErr := strconv.Atoi(strings.Trim(string(data), "\x00\n "))
			if err != nil || numberErr != nil || !m.runner.Lives(Identity{PID: pid}) {
				break // none, or one that its process left behind
			}
			if waited >= wait {
				return fail(wire.CodeBusy, path, "process %d has been editing it for %v", pid, wait)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-m.clock.After(accountsInterval):
			}
		}
	}
	return nil
}

// rewriteAccounts brings the resources about in one pass over each file, and
// proves it. The lock is held. When going back, all that can be put back is.
func (o *operation) rewriteAccounts(resources []*resource, back bool) error {
	const attempts = 5
	for range attempts {
		files, err := readAccountFiles(o.machine.disk)
		if err != nil {
			return fail(wire.CodeInternal, pathPasswd, "the files of accounts can't be read").because(err)
		}
		edits, failed := editAccounts(files, resources, back)
		if edits == nil || failed != nil && !back {
			return failed
		}
		if !back {
			if err := checkAccounts(files, resources); err != nil {
				return err
			}
		}
		edited := edits.apply(files)
		reached(resources, true)
		done, err := o.replaceAccounts(resources[0].Temp, files, edited, back)
		if err != nil {
			return errors.Join(failed, err)
		}
		if done {
			return errors.Join(failed, o.proveAccounts(resources, back, failed != nil))
		}
	}
	return fail(wire.CodeBusy, pathPasswd, "others keep writing to the files of accounts without their lock")
}

// replaceAccounts puts the edited files in place; false where somebody wrote
// meanwhile, whose file then is in its place again.
func (o *operation) replaceAccounts(base string, files, edited accountFiles, back bool) (bool, error) {
	disk := o.machine.disk
	var unsynced []string
	temps := map[string]string{}
	for path, data := range edited {
		temp := accountsTemp(base, path)
		if back {
			temp = undoName(temp)
		}
		if err := disk.Overwrite(temp, data); err != nil {
			return false, fail(wire.CodeInternal, path, "it can't be written anew").because(err)
		}
		temps[path], unsynced = temp, append(unsynced, temp)
	}
	if len(unsynced) == 0 {
		return true, nil
	}
	if err := disk.Sync(unsynced...); err != nil {
		return false, fail(wire.CodeInternal, "/etc", "the files of accounts can't be written anew").because(err)
	}
	for _, path := range accountPaths {
		temp, ok := temps[path]
		if !ok {
			continue
		}
		o.touch(path)
		if err := disk.Exchange(temp, path); err != nil {
			return false, fail(wire.CodeInternal, path, "it can't be put in place").because(err)
		}
		if old, _, err := disk.Read(temp, ownLimit); err != nil || !bytes.Equal(old, files[path]) {
			if err := disk.Exchange(temp, path); err != nil {
				return false, fail(wire.CodeInternal, path, "what somebody else wrote can't be put back from %s", temp).because(err)
			}
			return false, nil
		}
	}
	return true, o.flush()
}

// proveAccounts reads the files again: nothing may be left to do.
func (o *operation) proveAccounts(resources []*resource, back, partly bool) error {
	files, err := readAccountFiles(o.machine.disk)
	if err != nil {
		return fail(wire.CodeInternal, pathPasswd, "the files of accounts can't be read").because(err)
	}
	edits, err := editAccounts(files, resources, back)
	if err != nil && !partly {
		return err
	}
	if edits != nil && len(edits.apply(files)) > 0 {
		return fail(wire.CodeChanged, pathPasswd, "what was written is not what is there")
	}
	return nil
}

// tellCaches makes the caches of names forget what they know.
func (o *operation) tellCaches(ctx context.Context) {
	m := o.machine
	tell := func(program string, sign string, arguments ...string) {
		if _, err := m.disk.Stat(sign); err != nil || !m.runner.Find(program) {
			return
		}
		// They watch the files as well: this only makes them quicker.
		_, _ = m.runner.Run(ctx, Child{Kind: ChildProgram, Arguments: append([]string{program}, arguments...), Timeout: 5 * time.Second})
	}
	tell("nscd", "/run/nscd/socket", "-i", "passwd")
	tell("nscd", "/run/nscd/socket", "-i", "group")
	tell("sss_cache", "/var/lib/sss/mc/passwd", "-U", "-G")
}

func (accountsKind) sweep(o *operation, resources []*resource) error {
	var failed error
	swept := map[string]bool{}
	for _, r := range resources {
		if r.Temp == "" || swept[r.Temp] {
			continue
		}
		swept[r.Temp] = true
		for _, path := range accountPaths {
			temp := accountsTemp(r.Temp, path)
			for _, name := range []string{temp, undoName(temp)} {
				if err := o.machine.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = errors.Join(failed, err)
				}
			}
		}
		o.touch(r.Temp)
	}
	return failed
}
