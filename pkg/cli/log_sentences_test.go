package cli

import (
	"strings"
	"testing"

	"orchestra/pkg/wire"
)

// Each server and step has one sentence that a person understands.
func TestTheLogSaysInASentenceWhatHappened(t *testing.T) {
	ok := func(server, phase string) phaseDocument {
		return phaseDocument{Server: server, Backend: "unix-user", Phase: phase, Outcome: "ok", Seconds: 0.05}
	}
	stage := ok("h11", "stage")
	stage.Changed, stage.Kinds = 6, []wire.KindCount{{Kind: "user", Made: 3}, {Kind: "directory", Made: 2}, {Kind: "file", Changed: 1}}
	reload := ok("h11", "reload")
	reload.Reloaded = []string{"ssh"}
	trash := ok("h11", "stage")
	trash.Kinds = []wire.KindCount{{Kind: "user", Removed: 1}, {Kind: "park", Removed: 1}, {Kind: "act", Changed: 2}, {Kind: "flag", Made: 1}}
	failed := ok("h11", "publish")
	failed.Outcome, failed.During, failed.Resource, failed.Message = "failed", "check", "/etc/ssh", "it is wrong"
	steps := []logStep{{"unix-user", 3}}
	for name, c := range map[string]struct {
		state, outcome string
		steps          []logStep
		phases         []phaseDocument
		en, es, ca     string
	}{
		"done": {
			"done", "kept", steps, []phaseDocument{stage, ok("h11", "publish"), reload, ok("h11", "keep")},
			"h11: unix-user made 3 users and 2 directories, changed 1 file and reloaded ssh in 200 ms",
			"h11: unix-user creó 3 usuarios y 2 directorios, cambió 1 archivo y recargó ssh en 200 ms",
			"h11: unix-user va crear 3 usuaris i 2 directoris, va canviar 1 fitxer i va recarregar ssh en 200 ms",
		},
		"deleted": {
			"done", "kept", steps, []phaseDocument{trash},
			"h11: unix-user made 1 × flag, removed 1 user, moved 1 file or directory to the trash and did 2 further actions in 50 ms",
			"h11: unix-user creó 1 × flag, quitó 1 usuario, movió 1 archivo o directorio a la papelera y llevó a cabo 2 acciones más en 50 ms",
			"h11: unix-user va crear 1 × flag, va treure 1 usuari, va moure 1 fitxer o directori a la paperera i va fer 2 accions més en 50 ms",
		},
		"nothing to do": {
			"done", "kept", steps, []phaseDocument{ok("h11", "stage")},
			"h11: unix-user found everything as it is to be, in 50 ms",
			"h11: unix-user lo encontró todo como debe estar, en 50 ms",
			"h11: unix-user ho va trobar tot com ha d'estar, en 50 ms",
		},
		"before kinds were counted": {
			"done", "kept", steps, []phaseDocument{{Server: "h11", Backend: "unix-user", Phase: "stage", Outcome: "ok", Changed: 1, Seconds: 0.05}},
			"h11: unix-user changed 1 thing in 50 ms", "h11: unix-user cambió 1 cosa en 50 ms", "h11: unix-user va canviar 1 cosa en 50 ms",
		},
		"no step": {
			"done", "kept", nil, []phaseDocument{{Server: "h11", Phase: "adopt", Outcome: "ok", Seconds: 1.5}},
			"h11: was through in 1.5 s", "h11: acabó en 1.5 s", "h11: va acabar en 1.5 s",
		},
		"queued": {
			"done", "queued", steps, []phaseDocument{{Server: "h11", Phase: "connect", Outcome: "unreachable", Message: "no route"}},
			"h11: was out of reach; what it missed is owed to it",
			"h11: estaba fuera de alcance; se le debe lo que se perdió",
			"h11: estava fora d'abast; se li deu el que es va perdre",
		},
		"owing": {
			"done", "owing", steps, []phaseDocument{stage},
			"h11: unix-user made 3 users and 2 directories and changed 1 file in 50 ms\nh11: hears the end of it when it is reached again", "", "",
		},
		"failed": {
			"undone", "undone", steps, []phaseDocument{stage, failed, ok("h11", "undo")},
			"h11: unix-user failed while checking: /etc/ssh: it is wrong; everything was put back",
			"h11: unix-user falló comprobando: /etc/ssh: it is wrong; todo se dejó como estaba",
			"h11: unix-user va fallar comprovant: /etc/ssh: it is wrong; tot es va deixar com estava",
		},
		"failed twice in the same way": {
			"undoing", "", steps, []phaseDocument{failed, failed},
			"h11: unix-user failed while checking: /etc/ssh: it is wrong; it has not come to its end: orchestra recover", "", "",
		},
		"undone for another, live": {
			"undone", "undone", steps, []phaseDocument{stage, ok("h11", "publish"), ok("h11", "undo")},
			"h11: unix-user made 3 users and 2 directories and changed 1 file; all of it was put back", "", "",
		},
		"undone for another, not live": {
			"undone", "undone", steps, []phaseDocument{stage, ok("h11", "undo")},
			"h11: unix-user had made everything ready; it was taken away before anything was live", "", "",
		},
		"unreachable": {
			"undone", "untouched", steps, []phaseDocument{{Server: "h11", Phase: "connect", Outcome: "unreachable", Message: "no route"}},
			"h11: could not be reached: no route; nothing was changed there",
			"h11: no se pudo alcanzar: no route; allí no se cambió nada",
			"h11: no s'hi va poder arribar: no route; allà no es va canviar res",
		},
		"lost":      {"undone", "undone", steps, []phaseDocument{{Server: "h11", Phase: "keep", Outcome: "lost", Message: "EOF"}}, "h11: the connection was lost while keeping it: EOF; everything was put back", "", ""},
		"untouched": {"undone", "untouched", steps, nil, "h11: nothing had been sent to it", "", ""},
		"open":      {"running", "", steps, []phaseDocument{stage}, "h11: has not come to its end", "", ""},
		"given up":  {"done", "abandoned", steps, nil, "h11: was given up: it has been adopted, or taken out of service, meanwhile", "", ""},
		"disabled":  {"done", "queued", steps, nil, "h11: was out of reach, or disabled; what it missed is owed to it", "", ""},
	} {
		document := logDocument{State: c.state, Servers: []logServer{{"h11", c.outcome, c.steps}}, Phases: append(c.phases, phaseDocument{Server: "h12", Outcome: "failed"})}
		for language, want := range map[string]string{"en": c.en, "es": c.es, "ca": c.ca} {
			var said []string
			for _, sentence := range logSentences(document) {
				said = append(said, sentence.In(language))
			}
			if got := strings.Join(said, "\n"); want != "" && got != want {
				t.Errorf("%s, %s:\n got %s\nwant %s", name, language, got, want)
			}
		}
	}
}

func TestOutputIsCutInTheMiddle(t *testing.T) {
	head, left, tail := middleCut(strings.Repeat("a\n", 99)+"z", 40)
	if len(head) != 20 || left != 60 || len(tail) != 20 || tail[19] != "z" {
		t.Errorf("%d, %d, %d", len(head), left, len(tail))
	}
	if head, left, tail := middleCut("", 40); head != nil || left != 0 || tail != nil {
		t.Errorf("of nothing: %v %d %v", head, left, tail)
	}
}

func TestAListShowsShortCommands(t *testing.T) {
	long := strings.Repeat("k", 400)
	if got := briefText("user add ana --key='ssh-ed25519 " + long + "'"); len(got) > 80 || !strings.HasPrefix(got, "user add ana --key='ssh-ed25519 kkk") {
		t.Error(got)
	}
	if got := briefText(strings.Repeat("ana ", 100)); len([]rune(got)) > briefLine {
		t.Error(got)
	}
}
