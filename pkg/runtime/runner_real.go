package runtime

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed prelude_declare.sh
var preludeDeclare string

//go:embed prelude_act.sh
var preludeAct string

const (
	// epilogueDeclare says that the declaring part came to its end: the script
	// has not left before.
	epilogueDeclare = "\nprintf '2\\0000\\0end\\0' >&4\n"
	// epilogueAct calls one function of acts.sh with the keys as arguments.
	epilogueAct = "\n\"$@\"\n"

	childPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	nobody    = 65534

	// The declaring part has a user of its own, whom no other process has and who
	// owns nothing: otherwise any process of nobody could trace it, and declare
	// in its place. The numbers are above all that Debian, systemd and subordinate
	// ids use; which one it is follows from the number of the runtime's process.
	firstDeclarer = 2_140_000_000
	answerLimit   = 256 << 20 // what a child may answer on descriptor 4
)

// RealRunner runs children as processes of this machine.
type RealRunner struct {
	root     string // given to acts as ORCHESTRA_ROOT; "" on a server
	self     Identity
	machine  Machine
	groups   *controlGroups // nil where there are none
	asNobody bool
	declarer uint32     // the user that declaring parts run as
	sole     bool       // all children of this process are the runner's
	mutex    sync.Mutex // one child at a time: all that is left after it is its own
}

// NewRealRunner returns the runner of this process. root is the root directory
// where it is not "/". sole says that the process has no other children: then
// it becomes the parent of all that its children leave behind.
func NewRealRunner(root string, sole bool) (*RealRunner, error) {
	if root == "/" {
		root = ""
	}
	r := &RealRunner{root: root, asNobody: os.Geteuid() == 0, sole: sole}
	if sole {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, fmt.Errorf("prctl: %w", err)
		}
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	hostname, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	r.machine = Machine{
		BootID: strings.TrimSpace(string(boot)), Hostname: hostname,
		Architecture: runtime.GOARCH, EffectiveID: os.Geteuid(),
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	r.declarer = declarer(os.Getpid())
	r.self = Identity{PID: os.Getpid(), Start: start, BootID: r.machine.BootID}
	r.self.Mark = fmt.Sprintf("%d.%d.%s", r.self.PID, r.self.Start, r.self.BootID)
	if r.groups = openControlGroups(r.self.PID); r.groups != nil {
		r.self.Group = r.groups.path
	}
	return r, nil
}

// Close removes what the runner has made for its children.
func (r *RealRunner) Close() error {
	if r.groups == nil {
		return nil
	}
	return r.groups.close()
}

// Self implements Runner.
func (r *RealRunner) Self() Identity { return r.self }

// Machine implements Runner.
func (r *RealRunner) Machine() Machine { return r.machine }

// Find implements Runner.
func (r *RealRunner) Find(program string) bool {
	_, err := lookPath(program)
	return err == nil
}

// Run implements Runner.
func (r *RealRunner) Run(ctx context.Context, child Child) (Result, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	command, files, err := r.prepare(child)
	if err != nil {
		return Result{}, err
	}
	defer files.close()
	if child.Timeout <= 0 {
		child.Timeout = DefaultTimeout
	}
	return r.run(ctx, command, files, child)
}

// prepare makes the command. Its script and its input are files in memory: what
// is secret is on no disk and in nobody's list of processes.
func (r *RealRunner) prepare(child Child) (*exec.Cmd, *childFiles, error) {
	files := &childFiles{}
	var command *exec.Cmd
	switch child.Kind {
	case ChildProgram:
		program, err := lookPath(child.Arguments[0])
		if err != nil {
			return nil, nil, err
		}
		command = exec.Command(program, child.Arguments[1:]...)
	default:
		text := preludeDeclare + child.Script + epilogueDeclare
		arguments := []string{"--noprofile", "--norc", "/dev/fd/5"}
		if child.Kind != ChildDeclare {
			text = preludeAct + child.Script + epilogueAct
			arguments = append(append(arguments, child.Function), child.Arguments...)
		}
		bash, err := lookPath("bash")
		if err != nil {
			return nil, nil, err
		}
		command = exec.Command(bash, arguments...)
		input, err := memoryFile("input", child.Input)
		if err != nil {
			return nil, nil, err
		}
		files.toClose = append(files.toClose, input)
		script, err := memoryFile("script", []byte(text))
		if err != nil {
			files.close()
			return nil, nil, err
		}
		files.toClose = append(files.toClose, script)
		answer, err := files.openAnswer(child.Kind)
		if err != nil {
			files.close()
			return nil, nil, err
		}
		command.ExtraFiles = []*os.File{input, answer, script} // descriptors 3, 4, 5
	}
	output, writer, err := os.Pipe()
	if err != nil {
		files.close()
		return nil, nil, err
	}
	files.output, files.toClose = output, append(files.toClose, writer)
	command.Stdout, command.Stderr = writer, writer // its input is /dev/null
	command.Dir = "/"
	command.Env = []string{
		"PATH=" + childPath, "LC_ALL=C", "HOME=/", "ORCHESTRA_ROOT=" + r.root, markName + "=" + r.self.Mark,
	}
	command.SysProcAttr = r.attributes(child.Kind)
	return command, files, nil
}

func (r *RealRunner) attributes(kind ChildKind) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if r.groups != nil {
		attributes.UseCgroupFD, attributes.CgroupFD = true, r.groups.directory
	}
	if kind == ChildDeclare && r.asNobody {
		attributes.Credential = &syscall.Credential{Uid: r.declarer, Gid: r.declarer, Groups: []uint32{}}
		// No network, and processes of its own: when the first dies, all do.
		attributes.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC
	}
	return attributes
}

// declarer returns the user of declaring parts: nobody in a container that maps
// no such numbers.
func declarer(pid int) uint32 {
	uid := uint64(firstDeclarer + pid)
	for _, name := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		data, err := os.ReadFile(name)
		mapped := false
		for line := range strings.Lines(string(data)) {
			var inside, outside, count uint64
			if n, err := fmt.Sscan(line, &inside, &outside, &count); err == nil && n == 3 && uid >= inside && uid-inside < count {
				mapped = true
			}
		}
		if err != nil || !mapped {
			return nobody
		}
	}
	return uint32(uid)
}

func lookPath(program string) (string, error) {
	for _, directory := range strings.Split(childPath, ":") {
		name := filepath.Join(directory, program)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}

// run starts the command and sees it, and all that it started, to their end.
func (r *RealRunner) run(ctx context.Context, command *exec.Cmd, files *childFiles, child Child) (Result, error) {
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The signal that a child gets at our death is sent when the thread that
		// started it ends. And what is forbidden to a thread is to its children:
		// no program that the declaring part runs can gain rights. Such a thread
		// is used for nothing else: it ends with this goroutine.
		runtime.LockOSThread()
		if command.SysProcAttr.Credential == nil {
			defer runtime.UnlockOSThread()
		} else {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				started <- err
				return
			}
		}
		err := command.Start()
		started <- err
		if err == nil {
			ended <- command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return Result{}, err
	}
	for _, file := range files.toClose {
		_ = file.Close()
	}
	files.toClose = nil

	var output capped
	plain := newRedactor(&output, child.Secrets)
	var answer limited
	var readers sync.WaitGroup
	readers.Go(func() { _, _ = io.Copy(plain, files.output) })
	if files.answer != nil {
		readers.Go(func() { _, _ = io.Copy(&answer, files.answer) })
	}

	var result Result
	timer := time.NewTimer(child.Timeout)
	defer timer.Stop()
	running := true
	select {
	case <-ended:
		running = false
	case <-timer.C:
		result.TimedOut = true
	case <-ctx.Done():
	}
	if !running {
		ended = nil
	}
	// Whether it ended well or not: nothing that it started may be left.
	err := r.reap(command.Process.Pid, ended)
	// All writers are dead, so the readers end; should one live, it is cut off.
	_ = files.output.SetReadDeadline(time.Now().Add(time.Second))
	if files.answer != nil {
		_ = files.answer.SetReadDeadline(time.Now().Add(time.Second))
	}
	readers.Wait()
	plain.flush()
	result.Output, result.ExitCode = output.String(), exitCode(command)
	if files.declared != nil {
		err = errors.Join(err, answer.readAll(files.declared))
	}
	result.Answer = answer.data
	if err == nil && answer.over {
		err = errors.New("its answer is too long")
	}
	return result, err
}

func exitCode(command *exec.Cmd) int {
	if command.ProcessState == nil {
		return -1
	}
	return command.ProcessState.ExitCode()
}

func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold anything.
	at := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[at+1:]))
	if at < 0 || len(fields) < 20 {
		return 0, errors.New("/proc: a line that makes no sense")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
