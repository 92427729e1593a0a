// Package nearest finds the name that was probably meant by an unknown one.
package nearest

import "strings"

// To returns the candidate with the fewest differences from name, ignoring case, or "" if none is close: up to a third of the
// characters may differ.
func To(name string, candidates []string) string {
	best, least := "", len([]rune(name))/3+1
	for _, candidate := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// Hint returns "; did you mean x?" for the candidate nearest to name, or "".
func Hint(name string, candidates []string) string {
	if found := To(name, candidates); found != "" {
		return "; did you mean " + found + "?"
	}
	return ""
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
func distance(from, to string) int {
	a, b := []rune(from), []rune(to)
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			replaced := last[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, replaced)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
