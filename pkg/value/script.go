package value

import "unicode"

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// mixesScripts tells whether label has letters of Latin beside Cyrillic, Greek,
// Armenian or Cherokee ones, whose letters look the same.
func mixesScripts(label string) bool {
	scripts := []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian, unicode.Cherokee}
	found := 0
	seen := make([]bool, len(scripts))
	for _, r := range label {
		for i, script := range scripts {
			if !seen[i] && unicode.Is(script, r) {
				seen[i] = true
				found++
			}
		}
	}
	return found > 1
}
