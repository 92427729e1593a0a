package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// printable returns a text on one line, without control characters.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// shorten cuts a text to a length in characters.
func shorten(text string, length int) string {
	if runes := []rune(text); len(runes) > length {
		return strings.TrimRight(string(runes[:max(length-1, 0)]), " ") + "…"
	}
	return text
}

// wrap breaks a text at its spaces into lines of at most this length, and words that are longer.
func wrap(text string, length int) []string {
	rest := []rune(text)
	var lines []string
	for length > 0 && len(rest) > length {
		at := length
		for at > 0 && rest[at] != ' ' {
			at--
		}
		if at == 0 {
			at = length
		}
		lines = append(lines, strings.TrimRight(string(rest[:at]), " "))
		for rest = rest[at:]; len(rest) > 0 && rest[0] == ' '; {
			rest = rest[1:]
		}
	}
	return append(lines, string(rest))
}

// ago is the time since t, in its one or two largest units.
func ago(t time.Time) string { return short(time.Since(t)) }

// agoPointer is ago, or "-" without a time.
func agoPointer(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return ago(*t)
}

// short writes a duration with one or two units. One below zero, of two clocks that differ, is 0s.
func short(d time.Duration) string {
	d = max(d, 0)
	seconds, minutes, hours := int(d.Seconds()), int(d.Minutes()), int(d.Hours())
	switch {
	case seconds < 100:
		return fmt.Sprintf("%ds", seconds)
	case minutes < 10:
		return fmt.Sprintf("%dm%ds", minutes, seconds%60)
	case hours < 3:
		return fmt.Sprintf("%dm", minutes)
	case hours < 48:
		return fmt.Sprintf("%dh", hours)
	}
	return fmt.Sprintf("%dd", hours/24)
}
