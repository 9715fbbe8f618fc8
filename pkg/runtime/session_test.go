package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"orchestra/pkg/wire"
)

func TestAFileFromStageToKeep(t *testing.T) {
	root, options := realServer(t)
	p := connect(t, options)
	step := aStep("motd", d("file", "/etc/motd", "root", "www-data", "0640", Reference(1)))
	step.Contents = contents("hello\n")
	p.want(wire.WordStaged, wire.WordStage, stageOf(1, step))
	if _, err := os.Stat(filepath.Join(root, "etc/motd")); err == nil {
		t.Fatal("it is live before PUBLISH")
	}
	p.want(wire.WordPublished, wire.WordPublish, wire.Publish{Operation: number(1), Steps: names(step)})
	p.want(wire.WordActive, wire.WordReload, wire.Reload{Operation: number(1)})
	report := p.want(wire.WordKept, wire.WordKeep, wire.Keep{Operation: number(1)})
	if report.State != wire.StateKept {
		t.Error(describe(report))
	}
	data, err := os.ReadFile(filepath.Join(root, "etc/motd"))
	if err != nil || string(data) != "hello\n" {
		t.Fatal(string(data), err)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
}
