package observe

import (
	"regexp"

	"go.uber.org/zap"
)

// rule replaces what a pattern finds.
type rule struct {
	pattern     *regexp.Regexp
	replacement string
}

// rules find what must never be written down: a password in a URL or a key-value DSN, and a user's secret key.
var rules = []rule{
	{regexp.MustCompile(`(://[^\s/:@]*):[^\s@]*@`), "$1:***@"},
	{regexp.MustCompile(`(?i)(password\s*=\s*)('[^']*'|\S+)`), "${1}***"},
	{regexp.MustCompile(`\bsk_[A-Za-z0-9_-]+`), "sk_***"},
	{regexp.MustCompile(`(?i)(bearer\s+)\S+`), "${1}***"},
}

// Redact hides passwords and keys in a text that came from elsewhere, such as an error of a driver.
func Redact(text string) string {
	for _, r := range rules {
		text = r.pattern.ReplaceAllString(text, r.replacement)
	}
	return text
}

// Error is the log field for err, with secrets hidden. Every error is logged through it.
func Error(err error) zap.Field {
	if err == nil {
		return zap.Skip()
	}
	return zap.String("error", Redact(err.Error()))
}
