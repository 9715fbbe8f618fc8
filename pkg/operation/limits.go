package operation

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"orchestra/pkg/fault"
	"orchestra/pkg/output"
	"orchestra/pkg/wire"
)

// What is taken of a server's answer, whatever it says. Sizes are bytes.
const (
	maxLine        = 4 << 10 // a path is shorter
	maxOutput      = 32 << 10
	maxActions     = 200
	maxUnrestored  = 200
	maxDifferences = 100_000
	maxKinds       = 50
	maxCount       = 1 << 30
)

// limit leaves of a report what the steps that were sent can have answered, in
// sizes that the log and a terminal bear, and printable.
func (s *session) limit(report *wire.Report) {
	seen := map[string]bool{}
	report.Steps = slices.DeleteFunc(report.Steps, func(one wire.StepReport) bool {
		drop := !s.steps[one.Name] || seen[one.Name]
		seen[one.Name] = true
		return drop
	})
	report.State = wire.State(limitLine(string(report.State), 32))
	report.Counters = limitCounters(report.Counters)
	for i := range report.Steps {
		one := &report.Steps[i]
		one.Changed = limitCount(one.Changed)
		one.Kinds = limitKinds(one.Kinds)
		one.Output = limitOutput(one.Output)
		one.Actions = limitList(one.Actions, maxActions)
		one.Reloaded = limitList(one.Reloaded, maxActions)
		one.Differences = limitDifferences(one.Differences)
	}
	if f := report.Failure; f != nil {
		for _, text := range []*string{&f.Code, &f.Step, &f.Phase} {
			*text = limitLine(*text, 100)
		}
		f.Resource, f.Message = limitLine(f.Resource, maxLine), limitLine(f.Message, maxLine)
		f.Output = limitOutput(f.Output)
		f.Unrestored = limitList(f.Unrestored, maxUnrestored)
	}
}

func limitCount(n int) int { return min(max(n, 0), maxCount) }

func limitKinds(all []wire.KindCount) []wire.KindCount {
	all = all[:min(len(all), maxKinds)]
	for i := range all {
		one := &all[i]
		one.Kind = limitLine(one.Kind, 100)
		one.Made, one.Changed, one.Removed = limitCount(one.Made), limitCount(one.Changed), limitCount(one.Removed)
	}
	return all
}

func limitDifferences(all []wire.Difference) []wire.Difference {
	if left := len(all) - maxDifferences; left > 0 {
		all = append(all[:maxDifferences:maxDifferences], wire.Difference{Kind: "…", Resource: fmt.Sprintf("+%d", left), Reason: "changed"})
	}
	for i := range all {
		d := &all[i]
		d.Kind, d.Reason = limitLine(d.Kind, 100), limitLine(d.Reason, 100)
		d.Resource, d.Object = limitLine(d.Resource, maxLine), limitLine(d.Object, maxLine)
		d.Before, d.After = limitOutput(d.Before), limitOutput(d.After)
	}
	return all
}

// limitCounters leaves what a panel may have said: a number out of all reason
// would use up the counter.
func limitCounters(counters map[string]int64) map[string]int64 {
	maps.DeleteFunc(counters, func(name string, last int64) bool {
		return !wire.ValidCounter(name, last) || output.Escape(name) != name
	})
	return counters
}

// limitProbed is limit for the answer to a probe: of programs, only those that were asked for.
func limitProbed(probed *wire.Probed, programs map[string]bool) {
	probed.Missing = slices.DeleteFunc(probed.Missing, func(name string) bool { return !programs[name] })
	probed.Missing = limitList(probed.Missing, len(programs))
	probed.SSHD = limitMap(probed.SSHD, func(text string) string { return limitLine(text, maxLine) })
	probed.FreeBytes = limitMap(probed.FreeBytes, func(bytes uint64) uint64 { return bytes })
}

// maxKeys is more settings than sshd has.
const maxKeys = 1000

func limitMap[V any](in map[string]V, value func(V) V) map[string]V {
	if in == nil {
		return nil
	}
	out := make(map[string]V, min(len(in), maxKeys))
	for _, key := range sortedKeys(in)[:min(len(in), maxKeys)] {
		out[limitLine(key, maxLine)] = value(in[key])
	}
	return out
}

// limitLine returns text as one printable line of at most about size bytes.
func limitLine(text string, size int) string {
	if len(text) > size {
		text = cutText(text, size) + "…"
	}
	return output.Escape(text)
}

// limitOutput returns the beginning and the end of a text of several lines.
func limitOutput(text string) string {
	if len(text) > maxOutput {
		tail := text[len(text)-maxOutput/2:]
		for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
			tail = tail[1:]
		}
		text = cutText(text, maxOutput/2) + "\n[…]\n" + tail
	}
	return output.EscapeLines(text)
}

// cutText returns the first size bytes of text, less what would split a character.
func cutText(text string, size int) string {
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	return strings.Clone(text[:size]) // the rest may be large
}

func limitList(list []string, most int) []string {
	if len(list) > most {
		list = append(list[:most:most], "…")
	}
	for i := range list {
		list[i] = limitLine(list[i], maxLine)
	}
	return list
}

// fits refuses a plan that holds more for one server than can be sent, before
// anything is journaled.
func fits(p *plan) error { return fitsIn(p, wire.MaxSteps) }

func fitsIn(p *plan, most int) error {
	total := map[int64]int{}
	for _, s := range p.steps {
		total[s.server] += wire.Size([]wire.Step{s.wire})
	}
	for _, server := range sortedKeys(total) {
		if total[server] > most {
			return fault.New(fault.Invalid, "the server %s would be told %d MiB at once, more than the %d MiB that can be sent: nothing was begun",
				p.servers[server].Name, total[server]>>20, most>>20).WithHint("do it in several parts: split the batch, or name fewer objects")
		}
	}
	return nil
}
