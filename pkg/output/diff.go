package output

import "strings"

// DiffLine is one line of a comparison.
type DiffLine struct {
	Sign byte // ' ' in both, '-' before only, '+' after only, '@' where lines were left out
	Text string
}

// diffLimit bounds the work of a comparison: lines before times lines after.
const diffLimit = 4 << 20

// Diff compares two texts by lines and keeps context lines around what differs.
func Diff(before, after string, context int) []DiffLine {
	a, b := splitLines(before), splitLines(after)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	lines := make([]DiffLine, 0, len(a)+len(b))
	for _, line := range a[:start] {
		lines = append(lines, DiffLine{' ', line})
	}
	lines = append(lines, middle(a[start:len(a)-end], b[start:len(b)-end])...)
	for _, line := range a[len(a)-end:] {
		lines = append(lines, DiffLine{' ', line})
	}
	return trim(lines, context)
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// middle compares by the longest common subsequence; texts too long for it are
// replaced as a whole.
func middle(a, b []string) []DiffLine {
	var lines []DiffLine
	if len(a)*len(b) > diffLimit {
		for _, line := range a {
			lines = append(lines, DiffLine{'-', line})
		}
		for _, line := range b {
			lines = append(lines, DiffLine{'+', line})
		}
		return lines
	}
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, DiffLine{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			lines = append(lines, DiffLine{'-', a[i]})
			i++
		default:
			lines = append(lines, DiffLine{'+', b[j]})
			j++
		}
	}
	return lines
}

// trim leaves out equal lines that are farther than context from a difference.
func trim(lines []DiffLine, context int) []DiffLine {
	near := make([]bool, len(lines))
	for i, line := range lines {
		if line.Sign == ' ' {
			continue
		}
		for n := max(i-context, 0); n <= min(i+context, len(lines)-1); n++ {
			near[n] = true
		}
	}
	var kept []DiffLine
	for i, line := range lines {
		switch {
		case near[i]:
			kept = append(kept, line)
		case i > 0 && near[i-1] || i == 0 && len(lines) > 0:
			kept = append(kept, DiffLine{'@', ""})
		}
	}
	if len(kept) > 0 && kept[len(kept)-1].Sign == '@' {
		kept = kept[:len(kept)-1]
	}
	if len(kept) > 0 && kept[0].Sign == '@' {
		kept = kept[1:]
	}
	return kept
}
