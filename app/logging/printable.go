package logging

import (
	"strings"
	"unicode"
)

// Printable returns a text without what a database, a log or a terminal chokes on: bytes that are no UTF-8 are question
// marks, control characters but line ends and tabs are left out. Texts from outside pass it where they enter.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// Clip returns a text of at most limit characters as it is, and of a longer one its beginning and an ellipsis.
func Clip(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}
