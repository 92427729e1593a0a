package logging

import (
	"regexp"
	"strings"

	"go.uber.org/zap"
)

// mask replaces secrets.
const mask = "***"

// rule replaces matches of a pattern in texts that contain one of the hints in lower case. Most texts contain none, and cost a
// search only.
type rule struct {
	hints       []string
	pattern     *regexp.Regexp
	replacement string
}

// rules match secrets, and values that drivers and clusters quote in their errors.
var rules = []rule{
	// Passwords in URLs, even with an @, and in key-value texts.
	{[]string{"://"}, regexp.MustCompile(`(://[^\s/:@]*):\S*@`), "$1:" + mask + "@"},
	{
		[]string{"pass", "pwd", "secret", "token", "key"},
		regexp.MustCompile(`(?i)((?:password|passwd|pwd|passphrase|secret|secret_?key|token|api_?key|access_?key)\s*=\s*)` +
			`('(?:[^'\\]|\\.)*(?:'|$)|"(?:[^"\\]|\\.)*(?:"|$)|[^\s&]+)`), "${1}" + mask,
	},
	// A user's secret key, and credentials of requests.
	{[]string{"sk_"}, regexp.MustCompile(`\bsk_[A-Za-z0-9_-]+`), "sk_" + mask},
	{[]string{"bearer"}, regexp.MustCompile(`(?i)(bearer\s+)\S+`), "${1}" + mask},
	{[]string{"authorization"}, regexp.MustCompile(`(?i)(authorization["'\]]*\s*[:=]\s*["'\[]*)\w+\s+\S+`), "${1}" + mask},
	{[]string{"private key-"},
		regexp.MustCompile(`(-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "${1}" + mask},
	// Kubernetes quotes the value of an invalid field.
	{[]string{"value: \""}, regexp.MustCompile(`((?:Invalid|Duplicate|Unsupported) value: )"(?:[^"\\]|\\.)*(?:"|$)`), `${1}"` +
		mask + `"`},
	{[]string{"value: "}, regexp.MustCompile(`(?s)((?:Invalid|Duplicate|Unsupported) value: )(?:map|\[|\{|&|[A-Za-z0-9_.]+\{).*`),
		"${1}" + mask},
	// PostgreSQL, CockroachDB and Go quote what they cannot parse.
	{[]string{"near \"", "parsing \"", "value \"", ": \""}, regexp.MustCompile(
		`((?:invalid input syntax for [^:"]*: |at or near |parsing |invalid value |value )(?:time )?)"(?:[^"\\]|\\.)*(?:"|$)`),
		`${1}"` + mask + `"`},
	{[]string{")=("}, regexp.MustCompile(`(?s)(Key \([^)]*\)=)\(.*\)`), "${1}(" + mask + ")"},
	{[]string{"failing row"}, regexp.MustCompile(`(?s)(Failing row contains )\(.*\)`), "${1}(" + mask + ")"},
}

// Redact masks passwords, keys and quoted values in an external text, such as an error of a driver.
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

// isOrdinary tells whether no rule can match a text: most messages, words, paths, addresses and ids.
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

// Error returns the redacted log field of err. Every error is logged through it.
func Error(err error) zap.Field {
	if err == nil {
		return zap.Skip()
	}
	return zap.String("error", Redact(err.Error()))
}
