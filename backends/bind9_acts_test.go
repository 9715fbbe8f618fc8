package backends_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// named is a folder that stands for a server: acts.sh has its places there, and
// rndc and dig know of zones what is in files.
type named struct {
	*testing.T
	folder string
}

const rndc = `#!/bin/bash
cd "${0%/*}" || exit
echo "$1 ${2-}" >>told
case $1 in
showzone | delzone) [[ -e database/$2 ]] || exit 1 ;;&
showzone) cat "database/$2" ;;
delzone) rm "database/$2" ;;
addzone) [[ ! -e database/$2 ]] || exit 1 ;;&
addzone | modzone) printf 'zone "%s" %s\n' "$2" "$3" >"database/$2" ;;
esac
`

// dig answers with what is in the file of a zone's serial number, if it was added.
const dig = `#!/bin/bash
cd "${0%/*}" || exit
while read -r zone type; do
	if [[ -e database/$zone && -e serials/$zone ]]; then
		printf ';; flags: qr aa; QUERY: 1\n%s. 60 IN %s ns. host. %s 1 1 1 1\n' "$zone" "$type" "$(<"serials/$zone")"
	else
		echo ';; flags: qr; QUERY: 1'
	fi
done
`

func newNamed(t *testing.T) *named {
	t.Helper()
	n := &named{t, t.TempDir()}
	n.write("rndc", rndc)
	n.write("dig", dig)
	for _, zone := range []string{"clauses", "masters", "slaves", "database", "serials"} {
		n.write(zone+"/.keep", "")
	}
	return n
}

// path returns the whole path of a file in the folder.
func (n *named) path(name string) string { return filepath.Join(n.folder, name) }

func (n *named) write(name, text string) {
	n.Helper()
	if err := os.MkdirAll(filepath.Dir(n.path(name)), 0o755); err != nil {
		n.Fatal(err)
	}
	if err := os.WriteFile(n.path(name), []byte(text), 0o755); err != nil {
		n.Fatal(err)
	}
}

// zone puts a zone's file and clause there, as declare.sh does.
func (n *named) zone(zone, serial, more string) {
	n.Helper()
	n.write("masters/"+zone+".zone", "\t"+serial+" ; serial\n")
	n.write("clauses/"+zone, fmt.Sprintf("{ type primary; file %q; %s};\n", n.path("masters/"+zone+".zone"), more))
}

// call calls a function of acts.sh with zones, after more was done in bash, and
// returns what is said, and what rndc was told, a line each.
func (n *named) call(more string, arguments ...string) string {
	n.Helper()
	if err := os.RemoveAll(n.path("told")); err != nil {
		n.Fatal(err)
	}
	script := `set -euo pipefail
declare -A state_before=()
fail() { echo "failed: $*"; exit 1; }
state() { echo "$1: $2"; }
sync() { :; }
` + catalogue(n.T).Backend("bind9-master").Acts + `
for place in clauses masters slaves notes key told_key; do printf -v "$place" %s "$1/$place"; done
` + more + `
shift
"$@"
`
	command := exec.CommandContext(n.Context(), "bash", append([]string{"-c", script, "bash", n.folder}, arguments...)...)
	command.Env = append(os.Environ(), "PATH="+n.folder+":"+os.Getenv("PATH"))
	output, err := command.CombinedOutput()
	if err != nil && !strings.Contains(string(output), "failed: ") {
		n.Fatalf("%v: %s", err, output)
	}
	told, _ := os.ReadFile(n.path("told"))
	return string(output) + string(told)
}

func (n *named) want(wanted, got string) {
	n.Helper()
	if got != wanted {
		n.Errorf("got\n%sand wanted\n%s", got, wanted)
	}
}

func TestTheFileOfAnotherZoneIsNoLeftover(t *testing.T) {
	n := newNamed(t)
	n.write("masters/s.example.zone.zone", "")
	n.write("masters/s.example.zone.zone.signed", "")
	n.write("slaves/s.example.zone.zone", "")
	n.write("slaves/t.example.zone.jnl", "")
	n.want("s.example: none\nt.example: some\n", n.call("", "probe_leftovers", "s.example", "t.example"))
	n.call("", "remove_leftovers", "s.example", "t.example")
	n.want("t.example: none\ns.example.zone: some\n", n.call("", "probe_leftovers", "t.example", "s.example.zone"))
}

func TestNamedIsToldWhatItHasOtherwise(t *testing.T) {
	n := newNamed(t)
	n.zone("a.example", "7", "")
	n.write("serials/a.example", "7")
	n.want("reconfig \naddzone a.example\n", n.call("", "load_zones", "a.example"))
	n.want("", n.call("", "load_zones", "a.example"))
	n.zone("a.example", "7", "also-notify { 192.0.2.99; }; ")
	n.want("modzone a.example\n", n.call("", "load_zones", "a.example"))
	n.want("", n.call("", "load_zones", "a.example"))
	n.write("key", "another one")
	n.want("reconfig \n", n.call("", "load_zones", "a.example"))
	if err := os.RemoveAll(n.path("notes")); err != nil { // as a boot does
		t.Fatal(err)
	}
	n.want("showzone a.example\n", n.call("", "load_zones", "a.example"))
	n.want("", n.call("", "load_zones", "a.example"))
	// What broke off after it was told, and is put back, was told nevertheless.
	n.zone("a.example", "7", "")
	n.call("settle() { fail broken off; }", "load_zones", "a.example")
	n.zone("a.example", "7", "also-notify { 192.0.2.99; }; ")
	n.want("showzone a.example\nmodzone a.example\n", n.call("", "load_zones", "a.example"))
	if err := os.Remove(n.path("clauses/a.example")); err != nil {
		t.Fatal(err)
	}
	n.want("delzone a.example\n", n.call("", "load_zones", "a.example"))
	n.want("showzone a.example\n", n.call("", "load_zones", "a.example"))
}

func TestAZoneOfTheAdministratorIsNotRemoved(t *testing.T) {
	n := newNamed(t)
	n.write("key", "")
	n.call("", "load_key")
	n.write("database/foreign.example", `zone "foreign.example" { type primary; file "/etc/bind/db.empty"; };`)
	n.write("serials/foreign.example", "1")
	n.want("showzone foreign.example\n", n.call("", "load_zones", "foreign.example"))
}

func TestAnAnswerIsNotExecuted(t *testing.T) {
	n := newNamed(t)
	n.zone("a.example", "7", "")
	n.write("serials/a.example", "x[$(touch${IFS}executed)]")
	n.call("cd $1; patience=0", "load_zones", "a.example")
	if _, err := os.Stat(n.path("executed")); err == nil {
		t.Error("what a server answered was executed")
	}
}

func TestAsLongAsZonesArriveTheyAreWaitedFor(t *testing.T) {
	n := newNamed(t)
	var zones []string
	for i := range 5 {
		zone := fmt.Sprintf("z%d.example", i)
		zones = append(zones, zone)
		n.zone(zone, "7", "")
	}
	arriving := "patience=1; (for zone in \"${@:3}\"; do command sleep 0.7; echo 7 >\"$1/serials/$zone\"; done) &\n"
	if got := n.call(arriving, append([]string{"load_zones"}, zones...)...); strings.Contains(got, "failed: ") {
		t.Errorf("it gave up: %s", got)
	}
	n.zone("never.example", "7", "")
	if got := n.call("patience=1", "load_zones", "never.example"); !strings.Contains(got, "failed: never.example does not arrive") {
		t.Errorf("it did not give up: %s", got)
	}
}
