package logging

import (
	"strings"
	"unicode"
)

// Printable returns a text that is safe for a database, a log and a terminal: invalid UTF-8 becomes question marks, control
// characters except line ends and tabs are removed. Texts from outside pass it where they enter.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Clip cuts a text to limit characters and adds an ellipsis if it is longer.
func Clip(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}
