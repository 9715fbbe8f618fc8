package fault

// Nearest returns the candidate that was probably meant by word: the one with
// the fewest letters to change, "" where that would be another word altogether.
func Nearest(word string, candidates []string) string {
	typed := []rune(word)
	if len(typed) > 64 {
		return ""
	}
	best, fewest := "", max(1, len(typed)/3)+1
	for _, candidate := range candidates {
		if d := distance(typed, []rune(candidate)); d < fewest {
			best, fewest = candidate, d
		}
	}
	return best
}

// distance counts the letters to insert, drop, replace or exchange with their
// neighbour (Damerau and Levenshtein, restricted).
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
