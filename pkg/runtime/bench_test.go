package runtime

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"orchestra/pkg/wire"
)

// userScript declares a user as backends do.
const userScript = `
one_user() {
  group "$name" "${fact[uid]}"
  user "$name" "${fact[uid]}" "${fact[uid]}" "${fact[home]}" "${fact[shell]}" "${fact[gecos]}" "${fact[password]}" 0
  member "$name" anna
  member staff "$name"
  dir "${fact[home]}" "${fact[uid]}" "${fact[uid]}" 0750
  file "/etc/keys/$name" root "${fact[uid]}" 0640 "${fact[keys]}" new
}
dir /etc/keys root root 0755
each_object one_user
`

// usersStep is a step of so many new users, from number first on.
func usersStep(first, count int) wire.Step {
	var records strings.Builder
	names := []string{"uid", "home", "shell", "gecos", "password", "keys", "a", "b", "c", "d", "e", "f"}
	fmt.Fprintf(&records, "#\x1f%d\x1e0\x1e%s\x1e\x1f.\n", len(names), strings.Join(names, "\x1e"))
	step := wire.Step{Name: "unix-user", Script: wire.Script{Declare: userScript}, Timeout: time.Minute}
	for i := first; i < first+count; i++ {
		name := fmt.Sprintf("user%d", i)
		uid := fmt.Sprint(70000 + i)
		password, keys := Reference(2*i), Reference(2*i+1)
		step.Contents = append(step.Contents,
			wire.ContentItem{Reference: password, Data: []byte("$y$j9T$" + strings.Repeat("x", 60)), Secret: true},
			wire.ContentItem{Reference: keys, Data: []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" + name + "\n")})
		columns := []string{"save", "user", uid, name, uid, "/home/" + name, "/bin/bash", "A user", password, keys, "1", "2", "3", "4", "5", "6"}
		records.WriteString("\x1f" + strings.Join(columns, "\x1f") + "\x1f.\n")
	}
	step.Objects = records.String()
	return step
}

func TestAThousandUsersAtOnce(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	const count = 1000
	step := usersStep(0, count)
	all := time.Now()
	for _, word := range wordsOf(stageOf(1, step)) {
		started, self, children := time.Now(), processor(unix.RUSAGE_SELF), processor(unix.RUSAGE_CHILDREN)
		report := p.want(word.answer, word.word, word.content)
		t.Logf("%-8s %v, of it processor %v and of children %v", word.word, time.Since(started).Round(time.Millisecond), processor(unix.RUSAGE_SELF)-self, processor(unix.RUSAGE_CHILDREN)-children)
		if word.word == wire.WordStage && report.Steps[0].Changed != 6*count+1 {
			t.Errorf("%d resources change", report.Steps[0].Changed)
		}
	}
	took := time.Since(all)
	t.Logf("in all   %v", took.Round(time.Millisecond))
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	t.Logf("memory taken from the system: %d MiB", memory.Sys>>20)
	if memory.Sys > 128<<20 {
		t.Errorf("it takes %d MiB", memory.Sys>>20)
	}
	if took > 10*time.Second {
		t.Errorf("it takes %v", took)
	}
	passwd, err := os.ReadFile(root + pathPasswd)
	if err != nil || strings.Count(string(passwd), "\n") != count+4 {
		t.Errorf("%d lines of passwd, %v", strings.Count(string(passwd), "\n"), err)
	}
	if entries, err := os.ReadDir(root + "/home"); err != nil || len(entries) != count {
		t.Errorf("%d homes, %v", len(entries), err)
	}
	// Again: nothing changes.
	second := stageOf(2, step)
	for _, word := range wordsOf(second) {
		started := time.Now()
		report := p.want(word.answer, word.word, word.content)
		t.Logf("again %-8s %v", word.word, time.Since(started).Round(time.Millisecond))
		if report.Steps[0].Changed != 0 {
			t.Errorf("%s: %d resources change", word.word, report.Steps[0].Changed)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}

// processor returns the time that processes have taken of the processor: unlike
// the time that passed, it does not depend on what else the machine does.
func processor(who int) time.Duration {
	var usage unix.Rusage
	_ = unix.Getrusage(who, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Round(time.Millisecond)
}

func BenchmarkOneUserAmongMany(b *testing.B) {
	for _, there := range []int{0, 10000} {
		b.Run(fmt.Sprint(there), func(b *testing.B) {
			root, options := realServer(b)
			fill(b, root, there)
			p := connect(b, options)
			n := 0
			for b.Loop() {
				n++
				for _, word := range wordsOf(stageOf(n, usersStep(20000+n, 1))) {
					p.want(word.answer, word.word, word.content)
				}
			}
			if err := p.close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// fill gives a machine so many users before.
func fill(t testing.TB, root string, count int) {
	t.Helper()
	formats := map[string]string{
		pathPasswd: "old%[1]d:x:%[2]d:%[2]d::/home/old%[1]d:/bin/bash\n", pathShadow: "old%[1]d:!:19000:0:99999:7:::\n",
		pathGroup: "old%[1]d:x:%[2]d:\n", pathGshadow: "old%[1]d:!::\n",
	}
	for name, format := range formats {
		file, err := os.OpenFile(root+name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range count {
			fmt.Fprintf(file, format, i, 200000+i)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkAThousandUsersAgain stages what is there already.
func BenchmarkAThousandUsersAgain(b *testing.B) {
	_, options := realServer(b)
	p := connect(b, options)
	step := usersStep(0, 1000)
	n := 1
	for _, word := range wordsOf(stageOf(n, step)) {
		p.want(word.answer, word.word, word.content)
	}
	for b.Loop() {
		n++
		for _, word := range wordsOf(stageOf(n, step)) {
			p.want(word.answer, word.word, word.content)
		}
	}
	if err := p.close(); err != nil {
		b.Fatal(err)
	}
}
