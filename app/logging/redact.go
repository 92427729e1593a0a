package logging

import (
	"regexp"
	"strings"

	"go.uber.org/zap"
)

// mask stands in the place of what is hidden.
const mask = "***"

// rule replaces what a pattern finds, in texts that hold one of the hints in lower case: most texts hold none, and are let
// through at the cost of a search.
type rule struct {
	hints       []string
	pattern     *regexp.Regexp
	replacement string
}

// rules find what must never be written down, and where drivers and clusters quote the value that they refuse.
var rules = []rule{
	// Passwords in URLs, also those with an @ in them, and in key-value texts.
	{[]string{"://"}, regexp.MustCompile(`(://[^\s/:@]*):\S*@`), "$1:" + mask + "@"},
	{
		[]string{"pass", "pwd", "secret", "token", "key"},
		regexp.MustCompile(`(?i)((?:password|passwd|pwd|passphrase|secret|secret_?key|token|api_?key|access_?key)\s*=\s*)` +
			`('(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)|[^\s&]+)`), "${1}" + mask,
	},
	// A user's secret key, and what authorizes a request.
	{[]string{"sk_"}, regexp.MustCompile(`\bsk_[A-Za-z0-9_-]+`), "sk_" + mask},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)(bearer\s+)\S+`), "${1}" + mask},
	{[]string{"authorization"}, regexp.MustCompile(`(?i)(authorization["'\]]*\s*[:=]\s*["'\[]*)\w+\s+\S+`), "${1}" + mask},
	{[]string{"private key-"}, regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "${1}" + mask},
	// Kubernetes, which repeats the value of a field that it finds wrong.
	{[]string{"value: \""}, regexp.MustCompile(`((?:Invalid|Duplicate|Unsupported) value: )"(?:[^"\\]|\\.)*(?:"|$)`), `${1}"` + mask + `"`},
	{[]string{"value: "}, regexp.MustCompile(`(?s)((?:Invalid|Duplicate|Unsupported) value: )(?:map|\[|\{|&|[A-Za-z0-9_.]+\{).*`), "${1}" + mask},
	// PostgreSQL, CockroachDB and Go, which quote what they cannot read.
	{[]string{"near \"", "parsing \"", "value \"", ": \""}, regexp.MustCompile(
		`((?:invalid input syntax for [^:"]*: |at or near |parsing |invalid value |value )(?:time )?)"(?:[^"\\]|\\.)*(?:"|$)`), `${1}"` + mask + `"`},
	{[]string{")=("}, regexp.MustCompile(`(?s)(Key \([^)]*\)=)\(.*\)`), "${1}(" + mask + ")"},
	{[]string{"failing row"}, regexp.MustCompile(`(?s)(Failing row contains )\(.*\)`), "${1}(" + mask + ")"},
}

// Redact hides passwords, keys and quoted values in a text that came from elsewhere, such as an error of a driver.
func Redact(text string) string {
	if isOrdinary(text) {
		return text
	}
	lower := ""
	for _, r := range rules {
		if lower == "" {
			lower = strings.ToLower(text)
		}
		if !containsAny(lower, r.hints) {
			continue
		}
		text = r.pattern.ReplaceAllString(text, r.replacement)
		lower = ""
	}
	return redactMembers(text)
}

// ordinary tells whether a text has nothing that any rule needs: most messages, words, paths, addresses and ids.
func isOrdinary(text string) bool {
	for i := range len(text) {
		switch text[i] {
		case '=', '"', '(':
			return false
		case ':':
			if hasPrefixFold(text[i:], ": ") || hasPrefixFold(text[i:], "://") {
				return false
			}
		case '-':
			if hasPrefixFold(text[i:], "-----") {
				return false
			}
		case 's':
			if hasPrefixFold(text[i:], "sk_") {
				return false
			}
		case 'a', 'A':
			if hasPrefixFold(text[i:], "authorization") {
				return false
			}
		case 'b', 'B':
			if hasPrefixFold(text[i:], "bearer") {
				return false
			}
		}
	}
	return true
}

func hasPrefixFold(text, word string) bool {
	return len(text) >= len(word) && strings.EqualFold(text[:len(word)], word)
}

func containsAny(text string, hints []string) bool {
	for _, hint := range hints {
		if strings.Contains(text, hint) {
			return true
		}
	}
	return false
}

// Error is the log field for err, with secrets hidden. Every error is logged through it.
func Error(err error) zap.Field {
	if err == nil {
		return zap.Skip()
	}
	return zap.String("error", Redact(err.Error()))
}
