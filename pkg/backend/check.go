package backend

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"orchestra/pkg/message"
	"orchestra/pkg/runtime"
	"orchestra/pkg/settings"
)

// Finding is one thing that is wrong in a backend's folder.
type Finding struct {
	File string // within the folder
	Line int    // 0: the whole file
	Text message.Text
}

const checkTimeout = 30 * time.Second

// forbidden are words that no command of a script may begin with, and why.
var forbidden = []struct {
	words  []string
	reason string
}{
	{[]string{"eval", "source", "."}, "data would be executed"},
	{[]string{"sudo", "su", "doas", "runuser"}, "the runtime decides as whom things are done"},
	{[]string{"useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "passwd", "chpasswd", "gpasswd", "adduser", "deluser"}, "the verbs user, group and member do it, and undo it"},
	{[]string{"systemctl", "service", "invoke-rc.d"}, "the verb reload does it, once for all objects"},
	{[]string{"curl", "wget", "nc", "ssh", "scp", "rsync"}, "a backend does not use the network"},
	{[]string{"nohup", "setsid", "disown", "coproc"}, "nothing may go on after the operation"},
}

// forbiddenInDeclare may be used by the functions of acts.sh only.
var forbiddenInDeclare = []string{
	"chown", "chmod", "chgrp", "rm", "rmdir", "mv", "cp", "ln", "mkdir", "touch", "tee", "dd", "install", "mount", "umount", "kill", "pkill", "sed",
}

// Check looks for what is wrong with the backend in folder: its manifest, bash's
// own syntax check, shellcheck, words that would go round the runtime, and what
// it declares when it is run on made-up objects as it would be on a server.
// A check that could not be made is a finding too.
func Check(folder string) []Finding {
	b, err := read(os.DirFS(folder), filepath.Base(folder))
	if err != nil {
		return []Finding{{File: manifestFile, Text: message.New("%s", err.Error())}}
	}
	scripts := []struct{ file, text string }{{declareFile, b.Declare}, {actsFile, b.Acts}, {setupFile, b.Setup}}
	if b.Shares != "" {
		c, err := Load(filepath.Dir(folder))
		if err == nil {
			err = c.share(b)
		}
		if err != nil {
			return []Finding{{File: manifestFile, Text: message.New("%s", err.Error())}}
		}
	}
	var found []Finding
	for _, script := range scripts {
		if script.text == "" {
			continue
		}
		found = append(found, words(script.file, script.text)...)
		found = append(found, parks(script.file, script.text, b.Acts)...)
		found = append(found, syntax(folder, script.file)...)
	}
	if len(found) == 0 {
		found = append(found, trial(b)...)
	}
	return found
}

// words finds forbidden words at the beginning of commands.
func words(file, text string) []Finding {
	var found []Finding
	for n, line := range strings.Split(text, "\n") {
		for _, command := range commandWords(line) {
			for _, rule := range forbidden {
				if slices.Contains(rule.words, command) {
					found = append(found, Finding{file, n + 1, message.New("%s does not belong into a backend: %s", command, rule.reason)})
				}
			}
			if file != actsFile && slices.Contains(forbiddenInDeclare, command) {
				found = append(found, Finding{file, n + 1, message.New("%s changes something, and this part only declares what should be", command)})
			}
		}
	}
	return found
}

// parks finds kinds of things that are parked without the functions for it, also
// where made-up objects would not lead.
func parks(file, text, acts string) []Finding {
	if file == actsFile {
		return nil
	}
	var found []Finding
	call := regexp.MustCompile(`(?:^|[\s;&|({])park\s+([a-z][a-z0-9_]*)\s+[^\s;&|)}]`)
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, match := range call.FindAllStringSubmatch(line, -1) {
			for _, function := range runtime.ParkFunctions(match[1]) {
				if !runtime.DefinesFunction(acts, function) {
					found = append(found, Finding{file, n + 1, message.New("park %s needs the function %s in %s", match[1], function, actsFile)})
				}
			}
		}
	}
	return found
}

// commandWords returns the words of a line that may be commands. It takes quoted
// text for commands too where it looks like one: a word too many is refused
// rather than one too few.
func commandWords(line string) []string {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	var found []string
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(";|&(){}`", r) }) {
		expected := true // a command
		for _, word := range strings.Fields(part) {
			switch word {
			case "-exec", "-execdir":
				expected = true
				continue
			case "then", "do", "else", "if", "elif", "while", "until", "!", "time", "exec", "command", "builtin",
				"env", "xargs", "nice", "timeout":
				continue
			}
			if !expected || strings.HasPrefix(word, "-") || strings.Contains(word, "=") && !strings.HasPrefix(word, "=") {
				continue // an option of xargs or an assignment comes before the command
			}
			if word = strings.Trim(word, `"'\`); word != "" {
				found = append(found, path.Base(word))
			}
			expected = false
		}
	}
	return found
}

// syntax asks bash and shellcheck.
func syntax(folder, file string) []Finding {
	script := filepath.Join(folder, file)
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	if output, err := exec.CommandContext(ctx, "bash", "-n", "--", script).CombinedOutput(); err != nil {
		return []Finding{{File: file, Text: message.New("bash does not read it: %s", strings.TrimSpace(string(output)))}}
	}
	// SC2154: variables that the runtime sets; SC2034: ones that it reads.
	output, err := exec.CommandContext(ctx, "shellcheck", "--shell=bash", "--format=gcc", "--exclude=SC2154,SC2034", "--", script).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return []Finding{{File: file, Text: message.New("shellcheck is not installed, so that the script was not checked: apt install shellcheck")}}
	}
	var found []Finding
	for line := range strings.Lines(string(output)) {
		// script:line:column: kind: text
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), script+":")
		parts := strings.SplitN(rest, ":", 3)
		if !ok || len(parts) != 3 {
			continue
		}
		n, _ := strconv.Atoi(parts[0])
		found = append(found, Finding{File: file, Line: n, Text: message.New("%s", strings.TrimSpace(parts[2]))})
	}
	if err != nil && len(found) == 0 {
		return []Finding{{File: file, Text: message.New("shellcheck failed: %s", err.Error())}}
	}
	return found
}

// trial runs the declaring parts on made-up objects, on this machine, as a
// server would: as nobody where we are root.
func trial(b *Backend) []Finding {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	told, err := EncodeSettings(b.Settings, settings.Default())
	records, _, err2 := EncodeObjects(samples(b))
	if err := errors.Join(err, err2); err != nil {
		return []Finding{{File: declareFile, Text: message.New("%s", err.Error())}}
	}
	var found []Finding
	for _, part := range []struct{ file, script string }{{declareFile, b.Declare}, {setupFile, b.Setup}} {
		if part.script == "" {
			continue
		}
		if err := tryDeclaring(ctx, part.script, b.Acts, told+records); err != nil {
			found = append(found, Finding{File: part.file, Text: message.New("run on made-up objects: %s", err.Error())})
		}
	}
	return found
}

func tryDeclaring(ctx context.Context, script, acts, records string) error {
	runner, err := runtime.NewRealRunner("/", false)
	if err != nil {
		return err
	}
	defer runner.Close()
	result, err := runner.Run(ctx, runtime.Child{Kind: runtime.ChildDeclare, Script: script, Input: []byte(records), Timeout: checkTimeout})
	switch {
	case err != nil:
		return err
	case result.TimedOut:
		return fmt.Errorf("it did not end within %s", checkTimeout)
	case result.ExitCode != 0:
		return fmt.Errorf("exit code %d: %s", result.ExitCode, strings.TrimSpace(result.Output))
	}
	return runtime.CheckDeclarations(result.Answer, acts)
}

// samples are objects with every fact that the script names, each action once:
// numbers where a fact looks like one, hostile text elsewhere.
func samples(b *Backend) []Object {
	facts := map[string]any{}
	text := b.Declare + b.Setup
	for _, prefix := range []string{"fact[", "before["} {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, prefix)
			if !ok {
				break
			}
			name, left, _ := strings.Cut(after, "]")
			if plainWord(name) {
				facts[name] = sampleValue(name)
			}
			rest = left
		}
	}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) >= 3 && fields[0] == "list" && plainWord(fields[1]) {
			facts[fields[1]] = sampleList(fields[1])
		}
	}
	var objects []Object
	for i, action := range b.Actions {
		object := Object{Action: action, Noun: b.Noun, ID: int64(i + 1), Name: "sample", Facts: facts}
		if action == "save" {
			object.Before = facts
		}
		objects = append(objects, object)
	}
	return objects
}

func sampleList(name string) []string {
	if strings.HasPrefix(strings.TrimPrefix(name, "before."), "addresses_") {
		return []string{"192.0.2.11", "2001:db8::11"}
	}
	return []string{"sample", "a b"}
}

func sampleValue(name string) any {
	switch {
	case strings.Contains(name, "id") || strings.Contains(name, "port"):
		return int64(70001)
	case strings.Contains(name, "home") || strings.Contains(name, "directory") || strings.Contains(name, "path"):
		return "/home/sample"
	case name == "name" || strings.Contains(name, "user") || strings.Contains(name, "group"):
		return "sample"
	case strings.Contains(name, "shell"):
		return "/bin/sh"
	}
	return "sample"
}
